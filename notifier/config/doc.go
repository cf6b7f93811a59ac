// Package config turns a configuration file into the options of an instance.
//
// In goes one YAML file and the files of keys and passwords that it names; out
// come [app.Options] and the settings of the log. Reading is strict: an unknown,
// doubled or mistyped key, a value that is not allowed, a key that has no
// effect beside another, a file that cannot be read or does not hold what it
// should, each is an error that names file, line, field and what to write
// instead. All problems of a file are reported together, in the order of their
// lines. Only the sections that the instance's roles need are built, so one
// file can serve several hosts.
//
// Secrets are never in the file, only the names of files that hold them. No
// error repeats a value that could be a secret written into the wrong place.
package config

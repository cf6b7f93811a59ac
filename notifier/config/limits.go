package config

import "mailbell/notifier/seal"

// Limits of what is read. They keep a wrong file name, such as that of a disk
// image, from filling the memory.
const (
	FileMax   = 4 << 20  // bytes of a configuration file; a policy has at most compose.RulesMax rules
	SecretMax = 64 << 10 // bytes of a file with a key, a certificate or a password
	CAMax     = 4 << 20  // bytes of a file of certificate authorities; a system's own list has about 250 kB

	ProblemsMax = 100 // problems kept of one file; the rest is counted
	keyShownMax = 80  // bytes of a foreign key that is repeated in a problem
)

// EngineKeyBytes is the length of the key that encrypts what is stored.
const EngineKeyBytes = seal.KeyLen

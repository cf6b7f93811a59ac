package fakes

import (
	"embed"
	"path"

	"mailbell/fakes/fault"
)

// docs are the package comments of the fakes: where their faults are
// documented, and so the list of those there are.
//
//go:embed fakeapns/doc.go fakeautodiscover/doc.go fakeentra/doc.go fakeews/doc.go fakewns/doc.go iisauth/doc.go
var docs embed.FS

// documented are the fakes of docs by directory.
var documented = []string{"fakeapns", "fakeautodiscover", "fakeentra", "fakeews", "fakewns", "iisauth"}

// faultNames are the faults that the fakes document.
func faultNames() []fault.Name {
	var out []fault.Name
	for _, dir := range documented {
		b, err := docs.ReadFile(path.Join(dir, "doc.go"))
		if err != nil {
			panic(err) // embedded
		}
		out = append(out, fault.ParseNames(string(b))...)
	}
	return out
}

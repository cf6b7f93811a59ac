package control

import (
	"embed"
	"net/http"
)

//go:embed page
var assets embed.FS

// homePage is the web page for people: it shows the world by the same calls
// that are open to everybody.
func homePage(w http.ResponseWriter) any {
	secure(w.Header())
	b, err := assets.ReadFile("page/index.html")
	if err != nil {
		panic(err) // the file is in the binary
	}
	return document{"text/html; charset=utf-8", b}
}

// pageFiles serves what the page is made of.
func pageFiles() http.Handler {
	files := http.FileServerFS(assets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		files.ServeHTTP(w, r)
	})
}

// secure keeps the page to itself: nothing comes from elsewhere, nothing runs
// that is not in the binary, subjects of mails cannot become code.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

package api

import (
	_ "embed"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"mailbell/notifier"
)

// API is the registration web service. It runs no goroutine.
type API struct {
	opt      Options
	verifier *verifier
	rates    *rates
	locks    *locks
	log      *slog.Logger
}

// New checks the options.
func New(o Options) (*API, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &API{
		opt: o, verifier: newVerifier(o.Keys, o.Audience), rates: newRates(o.Limits), locks: newLocks(), log: o.Logger,
	}, nil
}

//go:embed openapi.json
var openAPI []byte

const devicePath = "/v1/devices/{id}"

// Handler is the service as an http.Handler, safe for concurrent use. Time-outs
// and TLS are the server's.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+devicePath, a.authenticated(a.put))
	mux.HandleFunc("GET "+devicePath, a.authenticated(a.get))
	mux.HandleFunc("DELETE "+devicePath, a.authenticated(a.delete))
	mux.HandleFunc(devicePath, only("GET, HEAD, PUT, DELETE"))
	mux.HandleFunc("GET "+devicePath+"/notifications", a.authenticated(a.notifications))
	mux.HandleFunc(devicePath+"/notifications", only("GET, HEAD"))
	mux.HandleFunc("GET /v1/openapi.json", serveOpenAPI)
	mux.HandleFunc("/v1/openapi.json", only("GET, HEAD"))
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("/healthz", only("GET, HEAD"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		notFound.with("see /v1/openapi.json for what there is").write(w)
	})
	return a.logged(mux)
}

// deviceHandler serves a request about a device, for a verified credential.
type deviceHandler func(w http.ResponseWriter, r *http.Request, c credential, id notifier.DeviceID)

// authenticated lets requests with a valid credential through that are allowed
// to speak about the device in the path, and not too many of them.
func (a *API) authenticated(next deviceHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := a.verifier.verify(r)
		if err != nil {
			challenge := `Bearer realm="mailbell"`
			if err != errNoCredential {
				challenge += `, error="invalid_token"` // RFC 6750 "The WWW-Authenticate Response Header Field"
			}
			w.Header().Set("WWW-Authenticate", challenge)
			unauthenticated.with(err.Error()).write(w)
			return
		}
		if ok, after := a.rates.allow(c.subject, time.Now()); !ok {
			seconds := strconv.Itoa(int(math.Ceil(max(after.Seconds(), 1))))
			w.Header().Set("Retry-After", seconds)
			tooManyRequests.with("wait " + seconds + " s; one credential may send " + fmt.Sprint(a.opt.Limits.RatePerSecond) + " requests a second").write(w)
			return
		}
		id, err := notifier.ParseDeviceID(r.PathValue("id"))
		if err != nil {
			invalidRequest.with("the device in the path is not one", fieldProblem{"id", err.Error()}).write(w)
			return
		}
		if !c.admin && c.subject != string(id) {
			forbidden.with("the credential is another device's").write(w)
			return
		}
		next(w, r, c, id)
	}
}

func only(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		methodNotAllowed.with("allowed are " + methods).write(w)
	}
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(openAPI)
}

// health says whether the service is ready: the registrations have been read.
func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-a.opt.View.Synced():
		writeJSON(w, "application/json", http.StatusOK, map[string]string{"status": "ok"})
	default:
		unavailable.with("the registrations are still being read").write(w)
	}
}

// logged writes a line for every request. The path is left out but for its
// pattern: whatever a stranger writes there is no business of the log.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, r)
		level := slog.LevelDebug
		if s.status >= 500 {
			level = slog.LevelWarn
		}
		a.log.Log(r.Context(), level, "request", "pattern", r.Pattern, "status", s.status, "took", time.Since(began))
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

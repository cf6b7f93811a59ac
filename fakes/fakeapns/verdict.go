package fakeapns

import (
	"encoding/json"
	"strconv"
	"time"
)

// verdict is what becomes of a request. The zero value means "nothing against
// it".
type verdict struct {
	status     int
	reason     string
	timestamp  time.Time // of a 410
	retryAfter time.Duration
	form       string // of the error body; "" is Apple's
	location   string // of a redirect

	id, uniqueID string
	effect       string // what the device did with it
	composition  string // what is wrong with the payload, though it was accepted
	fault        string // that struck
	delay        time.Duration
	cut          bool // accepted, and the answer is lost with the connection
	half         bool // the connection ends in the middle of the answer
	last         bool // the connection ends after this answer
	limit        uint32
}

// refuse is the verdict with a reason of the table.
func refuse(reason string) verdict { return verdict{status: statuses[reason], reason: reason} }

func (v *verdict) passed() bool { return v.status == 0 }

// points is what the verdict costs the connection.
func (v *verdict) points() int {
	switch {
	case v.reason == "BadDeviceToken":
		return badTokenPoints
	case v.status/100 == 4 && v.status != 410:
		return 1
	}
	return 0
}

func (v *verdict) contentType() string {
	if v.form == formHTML {
		return "text/html"
	}
	return "application/json"
}

// body is the answer's body; nil: none.
func (v *verdict) body() []byte {
	switch {
	case v.status == 200, v.location != "", v.form == formEmpty:
		return nil
	case v.form == formHTML:
		return []byte("<html><body><h1>" + strconv.Itoa(v.status) + "</h1></body></html>")
	}
	var out struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp,omitempty"` // milliseconds
	}
	out.Reason = v.reason
	if v.status == 410 {
		out.Timestamp = v.timestamp.UnixMilli()
	}
	b, _ := json.Marshal(out) // a string and a number have a JSON form
	switch v.form {
	case formTruncated:
		return b[:len(b)/2]
	case formBOM:
		return append([]byte("\xef\xbb\xbf"), b...)
	}
	return b
}

// Forms of an error body that are not Apple's.
const (
	formHTML      = "html"
	formEmpty     = "empty"
	formTruncated = "truncated"
	formBOM       = "bom"
	formSplit     = "split" // over two DATA frames
)

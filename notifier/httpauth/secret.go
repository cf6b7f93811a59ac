package httpauth

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password, a client secret or a token. However it is printed,
// logged or encoded, it says "redacted"; string(s) is the value.
//
// A struct that keeps a Secret in an unexported field must not be printed as a
// whole: package fmt does not call methods there.
type Secret string

const redacted = "redacted"

// String says "redacted".
func (Secret) String() string { return redacted }

// GoString says "redacted".
func (Secret) GoString() string { return redacted }

// Format says "redacted" for every verb, the wrong ones included.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue says "redacted".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText says "redacted".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

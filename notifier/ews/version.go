package ews

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Version is the schema a request is written in (EWS reference
// "RequestServerVersion"). It says nothing about the server but that the server
// must know it.
type Version string

// The schemas in use. Nothing this package asks for needs a newer one.
const (
	Exchange2010SP2 Version = "Exchange2010_SP2" // Exchange 2010 SP2 and SP3
	Exchange2013SP1 Version = "Exchange2013_SP1" // Exchange 2013, 2016, 2019, SE, and Online
)

// newer are schemas a server may be asked for instead of Exchange2013SP1.
var newer = []Version{"Exchange2013", "Exchange2015", "Exchange2016"}

// VersionForServer is the schema for a server by its build number, as
// Autodiscover's CasVersion and the header ServerVersionInfo tell it: 14.2 and
// 14.3 are Exchange 2010 SP2 and SP3, 15.0 is 2013, 15.1 is 2016, 15.2 is 2019
// and SE, 15.20 is Exchange Online. It is an error for a server too old to
// stream, and for text that begins with no build number.
func VersionForServer(build string) (Version, error) {
	parts := strings.SplitN(strings.TrimSpace(build), ".", 3)
	if len(parts) >= 2 {
		major, errMajor := strconv.Atoi(parts[0])
		minor, errMinor := strconv.Atoi(parts[1])
		switch {
		case errMajor != nil || errMinor != nil || major < 0 || minor < 0:
		case major >= 15:
			return Exchange2013SP1, nil
		case major == 14 && minor >= 2:
			return Exchange2010SP2, nil
		default:
			return "", fmt.Errorf("ews: server %d.%d is older than Exchange 2010 SP2 (14.2) and cannot be watched", major, minor)
		}
	}
	return "", fmt.Errorf("ews: build number %q: want one like 15.1.2507.37", shorten(build, 40))
}

func (v Version) validate() error {
	if v == Exchange2010SP2 || v == Exchange2013SP1 || slices.Contains(newer, v) {
		return nil
	}
	return fmt.Errorf("ews: Options.Version %q: want %s or %s", v, Exchange2010SP2, Exchange2013SP1)
}

// hasPreview says whether items have a preview (EWS reference "Preview": from
// Exchange 2013 on; an older schema is answered with ErrorIncorrectSchemaVersion).
func (v Version) hasPreview() bool { return v != Exchange2010SP2 }

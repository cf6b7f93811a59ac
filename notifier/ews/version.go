package ews

// Version is the schema that a request is written in (EWS reference
// "RequestServerVersion").
type Version string

// The schemas in use. 2010 SP3 knows itself as Exchange2010_SP2; everything
// newer than 2013, Exchange Online included, takes Exchange2013_SP1, and
// nothing here needs more.
const (
	Exchange2010SP2 Version = "Exchange2010_SP2"
	Exchange2013SP1 Version = "Exchange2013_SP1"
)

// preview says whether item:Preview exists (EWS reference "Preview": from
// Exchange 2013 on).
func (v Version) preview() bool { return v != Exchange2010SP2 }

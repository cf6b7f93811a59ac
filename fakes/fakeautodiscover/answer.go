package fakeautodiscover

import (
	"slices"
	"strings"
)

// userAnswer is the outcome for one user of a request.
type userAnswer struct {
	code, text string
	redirect   string
	values     []settingValue
	errors     []settingError
}

type settingValue struct{ name, value string }

type settingError struct{ name, code, text string }

// setting is one the service can tell, and how.
type setting struct {
	name  string
	value func(UserSettings) string
}

// settings in the order in which the server writes them (Autodiscover reference
// "Setting (SOAP)"), which is not the order of any request.
var settings = []setting{
	{"UserDisplayName", func(u UserSettings) string { return u.DisplayName }},
	{"UserDN", func(u UserSettings) string { return u.UserDN }},
	{"UserDeploymentId", func(u UserSettings) string { return u.DeploymentID }},
	{"InternalMailboxServer", func(u UserSettings) string { return u.Server }},
	{"MailboxDN", func(u UserSettings) string { return u.MailboxDN }},
	{"ActiveDirectoryServer", func(UserSettings) string { return "" }},
	{"CasVersion", func(u UserSettings) string { return u.Version }},
	{"EwsSupportedSchemas", func(u UserSettings) string { return strings.Join(u.Schemas, ", ") }},
	{"EwsPartnerUrl", func(u UserSettings) string { return u.EwsPartnerURL }},
	{"InternalEwsUrl", func(u UserSettings) string { return u.InternalEwsURL }},
	{"ExternalEwsUrl", func(u UserSettings) string { return u.ExternalEwsURL }},
	{"UserMSOnline", func(u UserSettings) string {
		if u.Online {
			return "True"
		}
		return "False"
	}},
	{"GroupingInformation", func(u UserSettings) string { return u.Grouping }},
	{"AutoDiscoverSMTPAddress", func(u UserSettings) string { return u.Address }},
}

// texts of error codes; clients must not branch on them.
var texts = map[string]string{
	"NoError":               "No error.",
	"RedirectAddress":       "Redirection address.",
	"RedirectUrl":           "Redirection URL.",
	"ServerBusy":            "The server is too busy to process the request.",
	"InternalServerError":   "An internal server error occurred.",
	"InvalidDomain":         "The domain is not known.",
	"SettingIsNotAvailable": "The setting is not available.",
	"InvalidSetting":        "The setting is not known.",
}

// answer decides the outcome for one address.
func (s *Server) answer(address string, requested []string) userAnswer {
	u, ok := s.lookup(address)
	switch {
	case !ok:
		return userAnswer{code: "InvalidUser", text: "Invalid user: '" + address + "'"}
	case u.ErrorCode != "":
		return userAnswer{code: u.ErrorCode, text: texts[u.ErrorCode]}
	case u.RedirectAddress != "":
		return userAnswer{code: "RedirectAddress", text: texts["RedirectAddress"], redirect: u.RedirectAddress}
	case u.RedirectURL != "":
		return userAnswer{code: "RedirectUrl", text: texts["RedirectUrl"], redirect: u.RedirectURL}
	}
	a := userAnswer{code: "NoError", text: texts["NoError"]}
	for _, known := range settings {
		if !slices.Contains(requested, known.name) || !s.knows(known.name) {
			continue
		}
		if value := known.value(u); value != "" {
			a.values = append(a.values, settingValue{known.name, value})
		} else {
			a.errors = append(a.errors, settingError{known.name, "SettingIsNotAvailable", texts["SettingIsNotAvailable"]})
		}
	}
	for _, name := range requested {
		if !s.knows(name) {
			a.errors = append(a.errors, settingError{name, "InvalidSetting", texts["InvalidSetting"]})
		}
	}
	if s.options.Silent {
		a.errors = nil
	}
	return a
}

// majorOf2010 is the major version of Exchange 2010, which has no grouping.
const majorOf2010 = 14

// knows says whether this version of the server has heard of a setting.
func (s *Server) knows(name string) bool {
	if name == "GroupingInformation" && s.options.Version.Major <= majorOf2010 {
		return false
	}
	return slices.ContainsFunc(settings, func(k setting) bool { return k.name == name })
}

// lookup asks the directory, and then the addresses that misbehave.
func (s *Server) lookup(address string) (UserSettings, bool) {
	if u, ok := s.options.Directory.Settings(strings.ToLower(strings.TrimSpace(address))); ok {
		return u, true
	}
	local, domain, ok := strings.Cut(strings.ToLower(address), "@")
	if !ok {
		return UserSettings{}, false
	}
	kind, ok := strings.CutPrefix(local, "autodiscover-")
	if !ok {
		return UserSettings{}, false
	}
	switch kind {
	case "busy":
		return UserSettings{ErrorCode: "ServerBusy"}, true
	case "internal":
		return UserSettings{ErrorCode: "InternalServerError"}, true
	case "domain":
		return UserSettings{ErrorCode: "InvalidDomain"}, true
	case "loop-a":
		return UserSettings{RedirectAddress: "autodiscover-loop-b@" + domain}, true
	case "loop-b":
		return UserSettings{RedirectAddress: "autodiscover-loop-a@" + domain}, true
	case "self":
		return UserSettings{RedirectAddress: address}, true
	case "url":
		return UserSettings{RedirectURL: "https://autodiscover." + domain + "/autodiscover/autodiscover.svc"}, true
	case "url-http":
		return UserSettings{RedirectURL: "http://autodiscover." + domain + "/autodiscover/autodiscover.svc"}, true
	case "url-foreign":
		return UserSettings{RedirectURL: "https://autodiscover.stranger.test/autodiscover/autodiscover.svc"}, true
	}
	return UserSettings{}, false
}

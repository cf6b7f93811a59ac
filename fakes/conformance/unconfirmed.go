package conformance

// question is something no public source settles.
type question struct {
	About    string // EWS, Autodiscover, APNs or WNS
	Question string
	Decision string   // of the fake
	Switches []string // package.Type.Field of Options, or a fault's name
}

var unconfirmed = []question{
	{"EWS", "How often a version sends heartbeats, and in which of the two forms", "every 45 s, ConnectionStatus; profile real varies the time down to 80 %", []string{"fakeews.Options.Heartbeat", "fakeews.Options.HeartbeatForm"}},
	{"EWS", "How long a subscription lives without a stream", "as long as its server process", nil},
	{"EWS", "How many unread events a subscription keeps", "2,000", []string{"exchange.Options.QueueMax"}},
	{"EWS", "The error for more than 200 ids", "the fault ErrorInvalidRequest", []string{"fakeews.Options.TooManyIDs"}},
	{"EWS", "The error for a ConnectionTimeout out of range", "the fault ErrorSchemaValidation", nil},
	{"EWS", "Subscriptions of a mailbox in 2010 and from 2016 on; streams in SE; requests at once online", "no limit in 2010, 5,000 from 2016 on; 10 streams; 27 requests", []string{"exchange.Options.Unthrottled"}},
	{"EWS", "Bursts, recharge rates and cut-off of the CPU-time budgets", "not kept: only counted limits throttle", []string{"ews.busy"}},
	{"EWS", "Whether a stream over the limit is always a fault, and what 2010 calls the policy", "always a fault; EWSMaxConcurrency", nil},
	{"EWS", "Content type and compression of the stream online", "text/xml in UTF-8, never compressed", nil},
	{"EWS", "NewMailEvent for mail that a server rule files", "none for an Inbox subscription; one with the other folder as parent for all folders", nil},
	{"EWS", "Whether an unknown mailbox is a fault or an error of the message", "a fault for the impersonation header, an error of the message for a folder's mailbox", nil},
	{"EWS", "What a request without RequestServerVersion means", "the newest schema the server knows", nil},
	{"EWS", "Life of the override cookie; what groupings look like on premises", "a session; the server's name and -SITE", []string{"exchange.Options.Sites"}},
	{"EWS", "Whether good subscriptions are served on after an error in the middle of a stream", "yes", nil},
	{"EWS", "Whether an open stream outlives the impersonation right", "yes, and the account being disabled", nil},
	{"EWS", "Whether a SyncState outlives a move", "yes: it belongs to the mailbox", nil},
	{"EWS", "Whether events lost with a broken connection come again", "never", nil},
	{"EWS", "The answer of a tenant whose EWS is switched off", "see auth 33", nil},
	{"EWS", "The answer to an operation that does not exist", "the fault ErrorInvalidOperation", nil},
	{"EWS", "Subscribe led by its cookie into another site than the mailbox's", "ErrorProxyRequestNotAllowed", nil},
	{"EWS", "When the place of a stream is free whose client has gone", "at the next write that fails", []string{"fakeews.Options.FreeAbandoned"}},
	{"EWS", "How long Exchange takes to tell an event", "no time at all; 1 to 5 s were seen", []string{"fakeews.Options.Latency"}},

	{"Autodiscover", "Whether a bad RequestedServerVersion is InvalidRequest or a fault", "InvalidRequest", []string{"fakeautodiscover.Options.VersionFault"}},
	{"Autodiscover", "How many users a request may have, and at which level more are refused", "100; for the whole response", []string{"fakeautodiscover.Options.UsersMax"}},
	{"Autodiscover", "Whether settings without a value are named as errors", "they are", []string{"fakeautodiscover.Options.Silent"}},
	{"Autodiscover", "Texts of InvalidUser and SettingIsNotAvailable; error numbers of POX", "made up", nil},
	{"Autodiscover", "Budget of Autodiscover online", "none", []string{"fakeautodiscover.Options.BudgetBurst", "fakeautodiscover.Options.BudgetPerSecond"}},
	{"Autodiscover", "Statuses and errors of version 2", "400 for parameters, 404 for users, 302 for those elsewhere", nil},

	{"APNs", "The word bearer in upper case", "MissingProviderToken", nil},
	{"APNs", "An apns-id in upper case", "accepted", nil},
	{"APNs", "Signatures in DER", "InvalidProviderToken", nil},
	{"APNs", "A provider token from the future", "InvalidProviderToken beyond an hour", nil},
	{"APNs", "A payload that is no JSON or has no aps", "accepted, and marked in the journal", []string{"fakeapns.Options.RefuseComposition"}},
	{"APNs", "The reason for a background push of priority 10", "BadPriority", nil},
	{"APNs", "The order of checks past authentication", "device token present, repeated headers, headers, topic, payload, device token's form, device, burst", nil},
	{"APNs", "Whether Retry-After is sent", "only where a fault or rule says so", []string{"apns.503", "apns.429"}},
	{"APNs", "Whether a repeated apns-id is shown once", "shown again: only the collapse id merges", nil},
	{"APNs", "Whether the 20 minutes between provider tokens hold beyond a connection", "for each connection on its own", nil},
	{"APNs", "Whether a rejection still takes the stream limit back to one", "in profiles real and hostile", []string{"fakeapns.Options.RejectionDropsToOne"}},
	{"APNs", "How the stream limit is enforced: RST_STREAM or GOAWAY, from SETTINGS or their acknowledgement", "RST_STREAM from the acknowledgement on", []string{"fakeapns.Options.EnforceAtOnce", "fakeapns.Options.ViolationGoAway"}},
	{"APNs", "IdleTimeout as an answer", "never", []string{"apns.answer"}},
	{"APNs", "How long an idle connection lives, and the time after a GOAWAY", "for ever; until the answers are out", []string{"fakeapns.Options.IdleTimeout", "fakeapns.Options.IdleGoAway"}},
	{"APNs", "The numbers behind TooManyRequests and behind the end after errors", "no limit; 1,000 points, ten for BadDeviceToken", []string{"fakeapns.Options.BurstMax", "fakeapns.Options.ErrorsMax"}},
	{"APNs", "How many connections a provider token may have", "any number", nil},
	{"APNs", "The extensions that mark a certificate's environment", "those of two object identifiers under Apple's arc; without either it fits both", nil},

	{"WNS", "HTTP/2", "HTTP/1.1 only", nil},
	{"WNS", "Scope with a trailing slash; whether wns.connect is needed", "the scope is compared as a whole; not needed", nil},
	{"WNS", "Toasts for absent devices", "the last one is kept", []string{"fakewns.Options.AwayToastsDropped"}},
	{"WNS", "X-WNS-Group on desktops", "accepted and kept with the tag", nil},
	{"WNS", "Texts of 401, 404, 410 and 413, and the mark of a blocked domain", "made up; Domain Blocked", nil},
	{"WNS", "All rates", "none", []string{"fakewns.Options.RateMax", "fakewns.Options.ChannelMax"}},
	{"WNS", "Form of Retry-After; whether 429 replaced 406", "seconds; 406", []string{"fakewns.Options.ThrottleStatus", "fakewns.Options.RateRetryAfter"}},
	{"WNS", "The order of checks", "throttle, method, length, token, app, channel, headers, size", nil},
	{"WNS", "A TTL on a toast without a cache policy", "accepted", nil},
	{"WNS", "How long an unread toast stays", "for ever, unless it has a TTL", nil},
}

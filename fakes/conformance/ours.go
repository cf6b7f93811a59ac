package conformance

// ours are facts the published sheets lack, found because a real client needed
// them or stumbled.
var ours = Sheet{
	Name: "ours", Title: "Numbers of our own",
	Letters: "the client that needed it",
	Numbers: []Number{
		{1, "exchangelib", "A first POST without credentials is answered 401 with every scheme on offer, on a connection that stays open"},
		{2, "exchangelib", "ConvertId is answered, be it by an error of the message, with ServerVersionInfo: the version is guessed by it"},
		{3, "exchangelib", "GetFolder of root and inbox takes a t:Mailbox with name, routing type and mailbox type beside the folder"},
		{4, "exchangelib", "Impersonation by PrimarySmtpAddress, beside an X-AnchorMailbox"},
		{5, "exchangelib", "The override cookie comes back as a header of that name, too, and does no harm"},
		{6, "exchangelib", "Autodiscover by POX behind a lookup of the domain's names, its password asked for by NTLM"},
	},
}

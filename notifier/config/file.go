package config

import "time"

// File is the configuration file.
//
// The tags make the example: doc is the comment; set is a value that every
// installation has to choose; default is what holds when the key is left out,
// and sample a value for show where there is no default. Values are written in
// YAML. In each section the keys with set come first.
type File struct {
	Roles    []string `yaml:"roles" default:"[portal, extender, proxy]" doc:"What this instance does: portal is the registration service, extender watches Exchange, proxy sends to Apple and Microsoft. Sections that the roles do not need may be left out."`
	Engine   Engine   `yaml:"engine" doc:"Where registrations, queued pushes, bookmarks and receipts are kept."`
	Exchange Exchange `yaml:"exchange" doc:"How the extender reaches Exchange."`
	Push     Push     `yaml:"push" doc:"How the proxy reaches the push services. One of the two is enough."`
	Policy   []Rule   `yaml:"policy" doc:"Who is served, and what a notification may show. The first rule that names a mailbox counts; a mailbox that no rule names is not served."`
	API      API      `yaml:"api" doc:"The registration service of the portal."`
	Admin    Admin    `yaml:"admin" doc:"Tells notifier explain and notifier status how the instance is doing, and go tool pprof what its time and memory go into (/debug/pprof/profile, /heap, /goroutine). It changes nothing, and shows no content of mails."`
	Network  Network  `yaml:"network" doc:"Only where the network is special."`
	Log      Log      `yaml:"log" doc:"The log goes to standard error."`
}

// Engine is the section engine.
type Engine struct {
	Dir          string        `yaml:"dir" set:"data" doc:"directory of the embedded engine; one instance at a time"`
	SecretFile   string        `yaml:"encryption_key_file" set:"engine.key" doc:"the key that encrypts what is stored; make it with: notifier config key > engine.key"`
	Sync         string        `yaml:"sync" default:"interval" doc:"interval: what is acknowledged survives a crash of the program; always: a loss of power too, at a price for each write"`
	LedgerAge    time.Duration `yaml:"ledger_age" default:"720h" doc:"how long receipts are kept"`
	DedupeWindow time.Duration `yaml:"dedupe_window" default:"1h" doc:"how long the queue recognises a repeated push"`
	DiskMaxMiB   int           `yaml:"disk_max_mib" default:"8192" doc:"bound of dir, in MiB"`
	URL          string        `yaml:"url" sample:"tls://nats.example.com:4222" doc:"a NATS with JetStream, instead of dir"`
	CAFile       string        `yaml:"ca_file" sample:"nats-ca.pem" doc:"with url: authority of its certificate, if private"`
	CertFile     string        `yaml:"certificate_file" sample:"nats-client.crt" doc:"with url: client certificate in PEM"`
	KeyFile      string        `yaml:"key_file" sample:"nats-client.key" doc:"its private key"`
	Replicas     int           `yaml:"replicas" default:"1" doc:"with url: copies in the cluster: 1, 3 or 5"`
}

// Exchange is the section exchange.
type Exchange struct {
	Accounts          []Account     `yaml:"accounts" doc:"listener accounts, each with the right to impersonate: ApplicationImpersonation, or full_access_as_app"`
	Autodiscover      Autodiscover  `yaml:"autodiscover" doc:"how mailboxes are found"`
	EWSURL            string        `yaml:"ews_url" sample:"https://mail.example.com/EWS/Exchange.asmx" doc:"for every mailbox; Autodiscover is then not asked"`
	Schema            string        `yaml:"schema" default:"Exchange2013_SP1" doc:"request schema where the server names none: Exchange2013_SP1 or Exchange2010_SP2"`
	PreferInternalURL bool          `yaml:"prefer_internal_url" default:"false" doc:"take InternalEwsUrl before ExternalEwsUrl"`
	Badge             *bool         `yaml:"badge" default:"true" doc:"ask for the unread count with every mail"`
	Elsewhere         *bool         `yaml:"read_elsewhere" default:"true" doc:"correct the badge, and withdraw notifications, when mail is read, moved or deleted with another program; costs events, and needs badge"`
	Silence           time.Duration `yaml:"silence" default:"100s" doc:"a stream without a byte for this long is dead"`
	Audit             time.Duration `yaml:"audit" default:"4h" doc:"each mailbox is compared once in this time; at most 4h30m"`
	Only              []string      `yaml:"only" sample:"['*@example.com', boss@example.org]" doc:"the mailboxes that this instance watches; by default all that the policy approves"`
	Servers           []string      `yaml:"servers" sample:"[Default-First-Site-Name, mail.example.com]" doc:"the servers whose mailboxes this instance watches, by Autodiscover's GroupingInformation or by the host of the EWS URL; by default all"`
	DigestOver        int           `yaml:"digest_over" default:"100" doc:"more mail than this after a gap is announced by one notification for all"`
	CatchUp           string        `yaml:"catch_up" default:"received" doc:"how a mailbox is compared after a gap. received: by the time of receipt, one request; overlooks what is moved or restored into the Inbox when it was received more than five hours ago. sync: by SyncFolderItems, which finds that too; walks each Inbox once, 512 items a request"`
}

// Account is an entry of exchange.accounts.
type Account struct {
	User           string `yaml:"user" set:"EXAMPLE\\svc-mailbell" doc:"DOMAIN\\user or user@domain"`
	PasswordFile   string `yaml:"password_file" set:"listener-1.password" doc:"its first line is the password"`
	Authentication string `yaml:"authentication" default:"ntlm" doc:"ntlm, basic or oauth"`
	Name           string `yaml:"name" sample:"listener-1" doc:"for the log; by default the user or client_id"`
	Mailboxes      int    `yaml:"mailboxes" default:"1250" doc:"most mailboxes of this account"`
	Requests       int    `yaml:"requests" default:"8" doc:"most requests at a time, beside the streams"`
	OAuth          OAuth  `yaml:"oauth" doc:"for Exchange Online, instead of user and password_file"`
}

// OAuth is the section oauth of an account.
type OAuth struct {
	Tenant     string `yaml:"tenant" sample:"example.onmicrosoft.com" doc:"the directory's ID or a domain of it"`
	ClientID   string `yaml:"client_id" sample:"11111111-2222-3333-4444-555555555555" doc:"the application's ID"`
	SecretFile string `yaml:"secret_file" sample:"oauth.secret" doc:"its first line is the client secret; or:"`
	CertFile   string `yaml:"certificate_file" sample:"oauth.crt" doc:"certificate of the application, in PEM"`
	KeyFile    string `yaml:"key_file" sample:"oauth.key" doc:"its private key, RSA"`
	Authority  string `yaml:"authority" default:"https://login.microsoftonline.com" doc:"where tokens come from"`
	Scope      string `yaml:"scope" default:"https://outlook.office365.com/.default" doc:"what they are for"`
}

// Autodiscover is the section exchange.autodiscover.
type Autodiscover struct {
	Endpoints      map[string]string `yaml:"endpoints" sample:"{example.com: 'https://mail.example.com/autodiscover/autodiscover.svc'}" doc:"mail domains whose address is known: no search"`
	RedirectHosts  []string          `yaml:"redirect_hosts" sample:"[autodiscover-s.outlook.com]" doc:"hosts outside the mail domain that may be redirected to; by default those of Office 365"`
	AddressDomains []string          `yaml:"address_domains" sample:"[example.mail.onmicrosoft.com]" doc:"domains that a mailbox may have moved to"`
}

// Push is the section push.
type Push struct {
	APNs []APNs `yaml:"apns" doc:"Apple: one entry for each environment"`
	WNS  []WNS  `yaml:"wns" doc:"Windows: one entry for each app"`
}

// APNs is an entry of push.apns.
type APNs struct {
	KeyFile      string `yaml:"key_file" set:"AuthKey_ABC123DEFG.p8" doc:"the key as downloaded from Apple"`
	KeyID        string `yaml:"key_id" set:"ABC123DEFG" doc:"it is in the name of the file"`
	TeamID       string `yaml:"team_id" set:"DEF123GHIJ" doc:"it is on Apple's Membership page"`
	Environment  string `yaml:"environment" default:"production" doc:"production or development"`
	CertFile     string `yaml:"certificate_file" sample:"apns.p12" doc:"a push certificate, instead of the three keys above"`
	PasswordFile string `yaml:"password_file" sample:"apns.password" doc:"its first line is the certificate's password"`
	Lanes        int    `yaml:"lanes" default:"2" doc:"connections"`
	Host         string `yaml:"host" sample:"https://api.push.apple.com:2197" doc:"instead of Apple's for the environment"`
}

// WNS is an entry of push.wns.
type WNS struct {
	PackageSID string `yaml:"package_sid" set:"ms-app://s-1-15-2-1-2-3-4-5-6-7" doc:"as Partner Center shows it"`
	SecretFile string `yaml:"secret_file" set:"wns.secret" doc:"its first line is the client secret"`
	Kind       string `yaml:"kind" default:"partner-center" doc:"partner-center or entra (Windows App SDK)"`
	Name       string `yaml:"name" sample:"mail" doc:"what registrations call the app, if there are several"`
	ClientID   string `yaml:"client_id" sample:"11111111-2222-3333-4444-555555555555" doc:"entra: the application's ID"`
	Tenant     string `yaml:"tenant" sample:"example.onmicrosoft.com" doc:"entra: the directory's ID or a domain of it"`
	TokenURL   string `yaml:"token_url" sample:"https://login.live.com/accesstoken.srf" doc:"instead of Microsoft's for the kind"`
	Rate       int    `yaml:"rate" default:"500" doc:"most notifications a second of this app; Microsoft names no limit, and an app was throttled above 1,000"`
}

// Rule is an entry of policy.
type Rule struct {
	Mailboxes     []string      `yaml:"mailboxes" set:"['*']" doc:"addresses, '*@domain', or '*' for all"`
	Approved      *bool         `yaml:"approved" default:"true" doc:"false: these mailboxes are not served"`
	Show          string        `yaml:"show" default:"everything" doc:"everything (sender and subject), sender, or nothing"`
	Preview       bool          `yaml:"preview" default:"false" doc:"show the first words of the text too"`
	ImportantOnly bool          `yaml:"important_only" default:"false" doc:"announce mail of high importance only"`
	Suppress      []string      `yaml:"suppress" sample:"[meetings, reports, out-of-office]" doc:"kinds that are not announced"`
	Sound         string        `yaml:"sound" default:"default" doc:"default, none, or a sound file of the iPhone app"`
	Expiry        time.Duration `yaml:"expiry" default:"12h" doc:"how long a push is worth sending"`
	QuietHours    *QuietHours   `yaml:"quiet_hours" doc:"no sound between these times"`
}

// QuietHours is the section quiet_hours of a rule.
type QuietHours struct {
	From string `yaml:"from" sample:"'22:00'" doc:"hh:mm"`
	To   string `yaml:"to" sample:"'07:00'" doc:"hh:mm"`
	Zone string `yaml:"zone" sample:"Asia/Tokyo" doc:"IANA time zone; by default UTC"`
}

// API is the section api.
type API struct {
	Listen        string   `yaml:"listen" set:"':8443'" doc:"host:port, or :port for all addresses"`
	CertFile      string   `yaml:"certificate_file" set:"api.crt" doc:"PEM, with intermediates; not needed on 127.0.0.1"`
	KeyFile       string   `yaml:"key_file" set:"api.key" doc:"its private key"`
	AuthorityKeys []string `yaml:"authority_keys" set:"[authority.pem]" doc:"public keys of the enrolment authority: Ed25519 or ECDSA P-256, PEM, a file each"`
	Audience      string   `yaml:"audience" default:"mailbell" doc:"the aud that credentials must carry"`
}

// Admin is the section admin.
type Admin struct {
	Listen string `yaml:"listen" set:"127.0.0.1:8447" doc:"an address of this host alone; left out: there is none"`
}

// Network is the section network.
//
// Hosts leads connections elsewhere, like a hosts file with ports. A name is
// host:port, or *.suffix:port, where the star stands for exactly one label:
// *.notify.windows.com:443 is for db5.notify.windows.com:443, and neither for
// notify.windows.com:443 nor for a.b.notify.windows.com:443. A full name goes
// before a star; the port has to match; case does not matter. The server's
// certificate is still checked against the name that was asked for, not
// against where it led. What is named here is trusted, private addresses
// included.
type Network struct {
	CAFile string            `yaml:"ca_file" sample:"private-ca.pem" doc:"authorities to trust beside the system's, in PEM"`
	Hosts  map[string]string `yaml:"hosts" sample:"{'*.notify.windows.com:443': 'proxy.example.com:8443'}" doc:"where a host:port really is; a leading * stands for exactly one label; certificates are still checked against the name on the left"`
}

// Log is the section log.
type Log struct {
	Format string `yaml:"format" default:"json" doc:"json or text"`
	Level  string `yaml:"level" default:"info" doc:"debug, info, warn or error"`
}

package exchange

import (
	"fmt"
	"time"
)

// Version is a release of Exchange that the organisation can play.
type Version string

// The versions.
const (
	V2010SP2 Version = "2010sp2" // 2010 SP2 with update rollup 4 or later, and SP3
	V2013    Version = "2013"
	V2016    Version = "2016"
	V2019    Version = "2019"
	VSE      Version = "se"     // Subscription Edition
	VOnline  Version = "online" // Exchange Online
)

// Behaviour is what depends on the version.
type Behaviour struct {
	Version Version

	// What the server says of itself in ServerVersionInfo. Label is a schema
	// label, which clients must not send back.
	Major, Minor, Build, Revision int
	Label                         string

	// Schemas are the values of RequestServerVersion it accepts, oldest first.
	Schemas []string

	// EWS "EWS throttling in Exchange" and "How to: Maintain affinity between
	// a group of subscriptions and the Mailbox server". 0 means no limit.
	StreamsMax       int    // open streams per charged account or mailbox
	StreamPolicy     string // what ErrorExceededConnectionCount calls that limit
	RequestsMax      int    // concurrent ordinary requests per charged account or mailbox
	SubscriptionsMax int    // subscriptions per target mailbox
	TouchedMax       int    // mailboxes one account may open within TouchedWindow without impersonation
	SyncCallsMax     int    // concurrent SyncFolderItems calls per target mailbox
	FindRowsMax      int    // rows of one FindItem answer
	FindRestrictMax  int    // the same with a restriction

	// The CPU-time budget, a token bucket of milliseconds: EWS throttling policy
	// EwsMaxBurst, EwsRechargeRate (per hour) and EwsCutoffBalance. 0: the
	// version has none. It is charged only when [Options.CPU] says so.
	CPUBurst, CPURecharge, CPUCutoff time.Duration

	// BothSwitches: EWS is served when neither the organisation nor the mailbox
	// says EwsEnabled false; else the mailbox's setting overrides the
	// organisation's. AppLists: EwsAllowedAppIDs exists.
	BothSwitches, AppLists bool

	Preview       bool // item:Preview exists (Exchange 2013 and later)
	Grouping      bool // Autodiscover knows GroupingInformation
	OverrideRoute bool // X-AnchorMailbox and X-BackEndOverrideCookie route; else exchangecookie does
	SecondGUID    bool // subscription ids end with a second GUID
}

var (
	schemas2010 = []string{"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2"}
	schemas2013 = append(schemas2010[:len(schemas2010):len(schemas2010)], "Exchange2013", "Exchange2013_SP1")
	schemas2016 = append(schemas2013[:len(schemas2013):len(schemas2013)], "Exchange2015", "Exchange2016")
)

// The CPU-time budget as it is often quoted. Unconfirmed: Microsoft publishes
// only that the cut-off is "generally" 600,000 to 3,000,000 ms.
const (
	cpuBurst    = 300_000 * time.Millisecond
	cpuRecharge = 900_000 * time.Millisecond
	cpuCutoff   = 3_000_000 * time.Millisecond
)

// behaviours is the one table of version differences. Unconfirmed: the
// subscription limit of 2010 (none here) and of 2016 and later (that of 2013
// here), the stream limit of SE, the name 2010 gives its stream budget, the
// limit of concurrent sync calls on premises (none here; 5 were seen in
// Exchange Online), and all figures of the CPU-time budget. The budgets of
// 2010 in per cent of a minute (EWSPercentTimeInCAS and its kin) are not
// modelled, so it has no CPU-time budget.
var behaviours = map[Version]Behaviour{
	V2010SP2: {
		Major: 14, Minor: 3, Build: 123, Revision: 3, Label: "Exchange2010_SP2", Schemas: schemas2010,
		StreamsMax: 10, StreamPolicy: "EWSMaxConcurrency", RequestsMax: 10,
		FindRowsMax: 1000, FindRestrictMax: 1000,
	},
	V2013: {
		Major: 15, Minor: 0, Build: 1497, Revision: 2, Label: "V2_23", Schemas: schemas2013,
		StreamsMax: 3, StreamPolicy: "MaxStreamingConcurrency", RequestsMax: 27, SubscriptionsMax: 5000,
		FindRowsMax: 1000, FindRestrictMax: 250, Preview: true, Grouping: true, OverrideRoute: true,
		CPUBurst: cpuBurst, CPURecharge: cpuRecharge, CPUCutoff: cpuCutoff,
	},
	V2016: {
		Major: 15, Minor: 1, Build: 2507, Revision: 37, Label: "V2017_07_11", Schemas: schemas2016,
		StreamsMax: 10, StreamPolicy: "MaxStreamingConcurrency", RequestsMax: 27, SubscriptionsMax: 5000,
		FindRowsMax: 1000, FindRestrictMax: 250, Preview: true, Grouping: true, OverrideRoute: true, SecondGUID: true,
		CPUBurst: cpuBurst, CPURecharge: cpuRecharge, CPUCutoff: cpuCutoff,
	},
	V2019: {
		Major: 15, Minor: 2, Build: 1544, Revision: 11, Label: "V2017_07_11", Schemas: schemas2016,
		StreamsMax: 10, StreamPolicy: "MaxStreamingConcurrency", RequestsMax: 27, SubscriptionsMax: 5000,
		FindRowsMax: 1000, FindRestrictMax: 250, Preview: true, Grouping: true, OverrideRoute: true, SecondGUID: true,
		CPUBurst: cpuBurst, CPURecharge: cpuRecharge, CPUCutoff: cpuCutoff,
	},
	VSE: {
		Major: 15, Minor: 2, Build: 2562, Revision: 17, Label: "V2017_07_11", Schemas: schemas2016,
		StreamsMax: 10, StreamPolicy: "MaxStreamingConcurrency", RequestsMax: 27, SubscriptionsMax: 5000,
		FindRowsMax: 1000, FindRestrictMax: 250, Preview: true, Grouping: true, OverrideRoute: true, SecondGUID: true,
		CPUBurst: cpuBurst, CPURecharge: cpuRecharge, CPUCutoff: cpuCutoff,
	},
	VOnline: {
		Major: 15, Minor: 20, Build: 8466, Revision: 16, Label: "V2018_01_08", Schemas: schemas2016,
		StreamsMax: 10, StreamPolicy: "MaxStreamingConcurrency", RequestsMax: 27, SubscriptionsMax: 20,
		TouchedMax: 16, SyncCallsMax: 5,
		FindRowsMax: 1000, FindRestrictMax: 250, Preview: true, Grouping: true, OverrideRoute: true, SecondGUID: true,
		CPUBurst: cpuBurst, CPURecharge: cpuRecharge, CPUCutoff: cpuCutoff,
		BothSwitches: true, AppLists: true,
	},
}

// BehaviourOf is the row of the table for v; the empty version means 2019.
func BehaviourOf(v Version) (Behaviour, error) {
	if v == "" {
		v = V2019
	}
	b, ok := behaviours[v]
	if !ok {
		return Behaviour{}, fmt.Errorf("exchange: version %q: want 2010sp2, 2013, 2016, 2019, se or online", v)
	}
	b.Version = v
	return b, nil
}

// VersionText is the version as "15.02.1544.011", the form of CasVersion.
func (b Behaviour) VersionText() string {
	return fmt.Sprintf("%02d.%02d.%04d.%03d", b.Major, b.Minor, b.Build, b.Revision)
}

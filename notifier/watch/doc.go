// Package watch keeps every mailbox subscribed and says what happened.
//
// In come mailboxes ([Watcher.Add], [Watcher.Remove]); out go events, to
// [Options].Handle, which makes their pushes durable before it returns. Only
// then does the mailbox's bookmark move. What the stream tells is a hint; the
// bookmark compared with the Inbox is the truth, and every gap (a new
// subscription, a stream that broke, a move, a restart) ends with such a
// comparison, so that nothing is lost whatever the network or the server did.
//
// The life of a mailbox is drawn at [State].
//
// Mailboxes that share listener account, EWS URL and grouping information form
// groups of at most [StreamMembersMax], each read through one streaming
// connection (and, while newcomers wait for its end, a second small one). The
// connection is charged to the group's anchor mailbox by impersonation, the
// subscriptions belong to the listener account (EWS "How to: Maintain affinity
// between a group of subscriptions and the Mailbox server in Exchange").
//
// Nothing here blocks on one mailbox: a slow or failing one waits by itself.
package watch

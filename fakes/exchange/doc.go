// Package exchange is the organisation behind the fake Exchange services: its
// servers, mailboxes, folders, items, accounts, subscriptions and budgets,
// without any protocol. What comes in is mail (real RFC 5322 bytes, by
// [Organisation.Deliver]) and what administrators and users do (moves,
// restarts, reading, deleting); what goes out are the events a subscription
// has asked for, and the answers the protocol fakes put into words.
//
// What is promised: an item is in its folder before any event about it can be
// taken; events of one subscription keep their order; a subscription loses
// events only when its queue overflows (the stream is told so) or when the
// caller drops what it took. Everything lives in memory; nothing survives
// the process. Time is the plain clock, so the package works inside
// testing/synctest.
//
// What differs between versions of Exchange stands in one table, [Behaviour],
// and nowhere else. Figures that no public source confirms are marked there.
//
// Not modelled: public folders, archives, calendars and contacts, permissions
// on single folders (an account has full access to a mailbox or none),
// databases apart from servers, distribution lists, CPU-time budgets (bursts
// and recharge rates), quotas, and outgoing mail.
package exchange

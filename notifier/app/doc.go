// Package app is one Mailbell instance as a value.
//
// [New] checks the options and builds nothing that runs; Start brings the
// instance up and returns when it serves; Stop takes it down in the opposite
// order; Run does both around a context. Several instances live in one process
// without knowing of each other: there is no package-level state.
//
// Roles choose what an instance does. The portal serves the registration web
// service, the extender watches Exchange and composes pushes, the proxy
// delivers them. They meet in the engine's stores and nowhere else, so they can
// run on three hosts as well as in one process.
//
//	portal:   api ──▶ registry
//	extender: registry ──▶ watch ──▶ compose ──▶ queue
//	proxy:    queue ──▶ deliver ──▶ APNs, WNS; receipts ──▶ ledger, registry
package app

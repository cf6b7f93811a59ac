// Package wns sends toasts, badges, tiles and raw notifications to Windows
// Push Notification Services over HTTP/1.1.
//
// A [Client] serves one [App] and all its channels. It gets the app's access
// token from login.live.com (apps with Partner Center identity) or from
// Microsoft Entra (Windows App SDK apps), one request at a time however many
// notifications wait, and renews it in the background before it ends.
// [Client.Send] takes a [Request] and returns a [Response], never a bare
// error: its [Action] says what to do next, and status.go is the only place
// where WNS's answers are judged.
//
// # The channel is a stranger's word
//
// A channel URI is given to us by a device, and the access token is sent to
// it. [CheckChannel] is the acceptance rule, applied when a device registers
// and again before each sending: https, a host below notify.windows.com, the
// default port. The URI then goes out byte for byte. Redirects are not
// followed, and [SafeDialer] refuses addresses inside our own network after
// the name was resolved.
//
// # What is promised
//
//   - 200 is not success: Delivered means that WNS's status header says so, or
//     that there is none.
//   - After 401 the token is renewed once and the notification sent once more;
//     a second 401 is Pause.
//   - Throttling (406, 429) concerns the whole app: Pause for as long as WNS
//     says.
//   - When the token service is down, Send answers Pause at once and says when
//     it is asked again; requests to it back off from 1 s to 5 min.
//   - A wave of 410 or 403 over several channels is Pause, not Forget: the app
//     is blocked or misconfigured, the channels are not dead.
//   - Channel URIs, secrets and tokens appear in no error and no log line.
package wns

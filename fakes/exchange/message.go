package exchange

import (
	"bytes"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // charsets of old mail, ISO-2022-JP among them
)

// Address is a display name and an SMTP address; either may be empty.
type Address struct{ Name, Address string }

// Message is what Exchange keeps of a mail. It is shared by the items of all
// recipients and never changes.
type Message struct {
	Class       string // item class
	Subject     string // decoded; HasSubject tells an empty one from none
	HasSubject  bool
	From        Address
	HasFrom     bool
	Sender      Address // Sender field, else From
	To, Cc      []Address
	MessageID   string
	Sent        time.Time // zero when there is no readable Date
	Importance  string    // Low, Normal, High
	Sensitivity string    // Normal, Personal, Private, Confidential
	Text        string    // text body, made from HTML when there is only that; at most BodyKeptMax bytes
	HTML        string    // HTML body, at most BodyKeptMax bytes
	Preview     string    // at most PreviewLenMax characters of Text, white space folded
	Attachments bool
	Size        int

	autoReply bool // RFC 3834 "Auto-Submitted": auto-replied
	raw       []byte
}

// Parse reads a message. It never fails: of broken MIME it keeps what can be
// read, at worst nothing but the size.
func Parse(raw []byte) *Message {
	m := &Message{Class: "IPM.Note", Importance: "Normal", Sensitivity: "Normal", Size: len(raw), raw: raw}
	header, body := splitHeader(raw)
	m.readHeader(header)
	w := walker{m: m}
	if entity, err := message.ReadWithOptions(bytes.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: -1}); entity != nil && (err == nil || message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)) {
		w.walk(entity, 0)
	} else {
		m.Text = toUTF8(body[:min(len(body), BodyKeptMax)])
	}
	if m.Text == "" && m.HTML != "" {
		m.Text = htmlText(m.HTML)
	}
	m.Preview = preview(m.Text)
	if m.autoReply && m.Class == "IPM.Note" {
		m.Class = classAutoReply
	}
	return m
}

// splitHeader finds the empty line that ends the header; both line ends are
// accepted.
func splitHeader(raw []byte) (header, body []byte) {
	for i := 0; i < len(raw); {
		n := bytes.IndexByte(raw[i:], '\n')
		if n < 0 {
			return raw, nil
		}
		if line := bytes.TrimRight(raw[i:i+n], "\r"); len(line) == 0 {
			return raw[:i], raw[i+n+1:]
		}
		i += n + 1
	}
	return raw, nil
}

// readHeader takes the fields of interest; the first of each name counts.
// Lines that are no field are passed over.
func (m *Message) readHeader(header []byte) {
	fields := map[string]string{}
	var name string
	for len(header) > 0 {
		line := header
		if n := bytes.IndexByte(header, '\n'); n >= 0 {
			line, header = header[:n], header[n+1:]
		} else {
			header = nil
		}
		line = bytes.TrimRight(line, "\r")
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if name != "" && len(fields[name]) < headerFieldMax {
				fields[name] += string(line)
			}
			continue
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		name = strings.ToLower(strings.TrimSpace(string(key)))
		if !ok || fields[name] != "" {
			name = ""
			continue
		}
		fields[name] = strings.TrimLeft(string(value), " \t")
		if fields[name] == "" {
			fields[name] = " "
		}
	}
	get := func(name string) string { return strings.TrimSpace(fields[name]) }
	_, m.HasSubject = fields["subject"]
	m.Subject = DecodeWords(get("subject"))
	if list := parseAddresses(get("from")); len(list) > 0 {
		m.From, m.HasFrom = list[0], true
	}
	m.Sender = m.From
	if list := parseAddresses(get("sender")); len(list) > 0 {
		m.Sender = list[0]
	}
	m.To, m.Cc = parseAddresses(get("to")), parseAddresses(get("cc"))
	m.MessageID = get("message-id")
	if date := get("date"); date != "" { // every form of a date is tried, which takes long
		if t, err := mail.ParseDate(date); err == nil {
			m.Sent = t.UTC().Truncate(time.Second)
		}
	}
	submitted, _, _ := strings.Cut(get("auto-submitted"), ";")
	m.autoReply = strings.EqualFold(strings.TrimSpace(submitted), "auto-replied")
	m.Importance = importance(get("importance"), get("x-priority"))
	switch strings.ToLower(get("sensitivity")) {
	case "personal":
		m.Sensitivity = "Personal"
	case "private":
		m.Sensitivity = "Private"
	case "company-confidential":
		m.Sensitivity = "Confidential"
	}
}

func importance(field, priority string) string {
	switch strings.ToLower(field) {
	case "high":
		return "High"
	case "low":
		return "Low"
	case "normal":
		return "Normal"
	}
	switch priority, _, _ := strings.Cut(priority, " "); priority {
	case "1", "2":
		return "High"
	case "4", "5":
		return "Low"
	}
	return "Normal"
}

// walker collects bodies, attachments and the item class from the MIME parts.
type walker struct {
	m     *Message
	parts int
}

func (w *walker) walk(e *message.Entity, depth int) {
	if w.parts++; depth > mimeDepthMax || w.parts > mimePartsMax {
		return
	}
	kind, params, err := e.Header.ContentType()
	if err != nil {
		kind = "text/plain"
	}
	kind = strings.ToLower(kind)
	w.classify(kind, params, depth)
	if parts := e.MultipartReader(); parts != nil {
		for range mimePartsMax {
			part, err := parts.NextPart()
			if part == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
				return
			}
			w.walk(part, depth+1)
		}
		return
	}
	disposition, _, _ := e.Header.ContentDisposition()
	attached := strings.EqualFold(disposition, "attachment")
	switch {
	case !attached && kind == "text/plain" && w.m.Text == "":
		w.m.Text = readText(e.Body)
	case !attached && kind == "text/html" && w.m.HTML == "":
		w.m.HTML = readText(e.Body)
	case depth > 0 && (kind == "message/delivery-status" || kind == "message/disposition-notification"):
		w.refine(kind, readText(e.Body))
	case attached || depth > 0 && !strings.HasPrefix(kind, "text/") && kind != "application/pkcs7-signature":
		w.m.Attachments = true
	}
}

// Item classes that the organisation itself makes something of.
const (
	classMeetingRequest = "IPM.Schedule.Meeting.Request"
	classAppointment    = "IPM.Appointment"
	classAutoReply      = "IPM.Note.Rules.OofTemplate.Microsoft"
)

// classify derives the item class as transport does.
func (w *walker) classify(kind string, params map[string]string, depth int) {
	param := func(name string) string { return strings.ToLower(params[name]) }
	class := ""
	switch {
	case kind == "text/calendar":
		switch param("method") {
		case "request":
			class = classMeetingRequest
		case "cancel":
			class = "IPM.Schedule.Meeting.Canceled"
		case "reply":
			class = "IPM.Schedule.Meeting.Resp.Pos"
		}
	case depth > 0:
	case kind == "multipart/report" && param("report-type") == "delivery-status":
		class = "REPORT.IPM.Note.NDR"
	case kind == "multipart/report" && param("report-type") == "disposition-notification":
		class = "REPORT.IPM.Note.IPNRN"
	case kind == "multipart/signed" && strings.HasSuffix(param("protocol"), "pkcs7-signature"):
		class = "IPM.Note.SMIME.MultipartSigned"
	case kind == "application/pkcs7-mime", kind == "application/x-pkcs7-mime":
		class = "IPM.Note.SMIME"
	}
	if class != "" && w.m.Class == "IPM.Note" {
		w.m.Class = class
	}
}

// refine tells the kinds of a report apart by its machine-readable part (RFC
// 3464 "Action", RFC 8098 "Disposition").
func (w *walker) refine(kind, fields string) {
	if !strings.HasPrefix(w.m.Class, "REPORT.") {
		return
	}
	for line := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), ":")
		value = strings.TrimSpace(value)
		switch {
		case kind == "message/delivery-status" && name == "action" && value == "delayed":
			w.m.Class = "REPORT.IPM.Note.Delayed"
		case kind == "message/delivery-status" && name == "action" && (value == "delivered" || value == "relayed" || value == "expanded"):
			w.m.Class = "REPORT.IPM.Note.DR"
		case kind == "message/disposition-notification" && name == "disposition" && strings.Contains(value, "deleted"):
			w.m.Class = "REPORT.IPM.Note.IPNNRN"
		}
	}
}

// readText reads a body, decoded by go-message, as far as it can be read.
func readText(r io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(r, BodyKeptMax)) //nolint:errcheck // broken encodings keep their beginning
	return toUTF8(b)
}

// preview folds white space and cuts after PreviewLenMax characters.
func preview(text string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = n > 0
			continue
		}
		if space {
			if n++; n > PreviewLenMax-1 {
				break
			}
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		if n++; n >= PreviewLenMax {
			break
		}
	}
	return b.String()
}

// htmlText is the text of an HTML body, good enough for a preview.
func htmlText(html string) string {
	var b strings.Builder
	skip := ""
	for i := 0; i < len(html); {
		if html[i] != '<' {
			j := strings.IndexByte(html[i:], '<')
			if j < 0 {
				j = len(html) - i
			}
			if skip == "" {
				b.WriteString(html[i : i+j])
			}
			i += j
			continue
		}
		j := strings.IndexByte(html[i:], '>')
		if j < 0 {
			break
		}
		tag := strings.ToLower(html[i+1 : i+j])
		name := strings.TrimLeft(tag, "/")
		if k := strings.IndexAny(name, " \t\r\n/"); k >= 0 {
			name = name[:k]
		}
		switch {
		case skip == "" && (name == "style" || name == "script" || name == "title") && tag[0] != '/':
			skip = name
		case skip != "" && tag == "/"+skip:
			skip = ""
		case name == "br" || name == "p" || name == "div" || name == "tr" || name == "li":
			b.WriteByte('\n')
		}
		i += j + 1
	}
	return strings.TrimSpace(entities.Replace(b.String()))
}

var entities = strings.NewReplacer("&nbsp;", "\u00a0", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&apos;", "'", "&amp;", "&")

// parseAddresses reads an address list, strictly first, then whatever looks
// like one name and one address.
func parseAddresses(field string) []Address {
	if field == "" {
		return nil
	}
	parser := mail.AddressParser{WordDecoder: &wordDecoder}
	if list, err := parser.ParseList(field); err == nil {
		out := make([]Address, 0, len(list))
		for _, a := range list {
			// The strict parser decodes words one by one; names are decoded
			// again from the field when a character is split over two words.
			out = append(out, Address{Name: a.Name, Address: a.Address})
		}
		if len(out) == 1 && strings.Contains(out[0].Name, "\ufffd") || len(out) == 1 && strings.Contains(out[0].Name, "=?") {
			if a, ok := looseAddress(field); ok && a.Address == out[0].Address {
				return []Address{a}
			}
		}
		return out
	}
	if a, ok := looseAddress(field); ok {
		return []Address{a}
	}
	return nil
}

// looseAddress takes "anything <address>" or a bare address or name.
func looseAddress(field string) (Address, bool) {
	open, close := strings.LastIndexByte(field, '<'), strings.LastIndexByte(field, '>')
	if open >= 0 && close > open {
		name := strings.Trim(strings.TrimSpace(field[:open]), `"`)
		return Address{Name: DecodeWords(name), Address: strings.TrimSpace(field[open+1 : close])}, true
	}
	text := DecodeWords(strings.TrimSpace(field))
	if strings.Contains(text, "@") && !strings.ContainsAny(text, " \t") {
		return Address{Address: text}, true
	}
	return Address{Name: text}, text != ""
}

// toUTF8 passes UTF-8 and takes anything else for Windows-1252.
func toUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	// The end may be cut within a character.
	for cut := 1; cut < utf8.UTFMax && cut < len(b); cut++ {
		if utf8.Valid(b[:len(b)-cut]) {
			return string(b[:len(b)-cut])
		}
	}
	return decodeCharset("windows-1252", b)
}

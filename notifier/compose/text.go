package compose

import "mailbell/notifier"

// text is what a notification says, in the reader's language, before it is
// shortened. None of it holds a control character.
type text struct {
	sender  string // who wrote, or a generic title
	subject string // what about, or a generic text; never empty
	preview string // the first words; may be empty
}

// compose chooses the words that the decision allows.
func (p phrases) compose(m notifier.Message, d Decision) text {
	if d.Show == ShowNothing {
		return text{sender: p.newMail, subject: p.openApp}
	}
	t := text{sender: first(clean(m.FromName), clean(m.FromAddr), p.noSender)}
	if d.Show == ShowSender {
		t.subject = p.newMail
		return t
	}
	t.subject = first(clean(m.Subject), p.noSubject)
	if d.Preview {
		t.preview = clean(m.Preview)
	}
	return t
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

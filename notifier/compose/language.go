package compose

import "golang.org/x/text/language"

// phrases are the words that Mailbell itself says.
type phrases struct {
	newMail   string // title when nothing may be shown, text when only the sender may
	openApp   string // text when nothing may be shown
	noSubject string
	noSender  string
	manyMails string // title of a digest
}

// spoken are the languages Mailbell speaks, the default one first.
var spoken = []struct {
	tag language.Tag
	phrases
}{
	{language.English, phrases{"New message", "Open your mail app to read it.", "(no subject)", "(unknown sender)", "Many new messages"}},
	{language.Japanese, phrases{"新着メール", "メールアプリを開いてご確認ください。", "(件名なし)", "(差出人不明)", "新着メールが多数あります"}},
	{language.German, phrases{"Neue Nachricht", "Zum Lesen die Mail-App öffnen.", "(kein Betreff)", "(unbekannter Absender)", "Viele neue Nachrichten"}},
	{language.French, phrases{"Nouveau message", "Ouvrez votre application de messagerie pour le lire.", "(sans objet)", "(expéditeur inconnu)", "De nombreux nouveaux messages"}},
}

// languages finds the phrases that a reader understands best.
type languages struct{ matcher language.Matcher }

func newLanguages() languages {
	tags := make([]language.Tag, len(spoken))
	for i, s := range spoken {
		tags[i] = s.tag
	}
	return languages{language.NewMatcher(tags)}
}

// of returns the phrases for a BCP 47 tag; English for one that is empty,
// malformed, or of a language that is none of ours.
func (l languages) of(locale string) phrases {
	tag, err := language.Parse(locale)
	if err != nil {
		return spoken[0].phrases
	}
	_, i, confidence := l.matcher.Match(tag)
	if confidence == language.No {
		i = 0
	}
	return spoken[i].phrases
}

package seal

// checkPlace is where a key check value is sealed for.
const (
	checkPlace   = "mailbell.key-check"
	checkContent = "mailbell"
)

// Check makes a value that tells later whether a store was written with this
// key. It reveals nothing of the key.
func (s *Sealer) Check() []byte {
	return s.Seal([]byte(checkContent), checkPlace)
}

// Verify says whether a value made by Check was made with this key: nil, or
// ErrWrongKey. A damaged value is ErrWrongKey too, because the two cannot be
// told apart when the key IDs happen to be equal.
func (s *Sealer) Verify(check []byte) error {
	content, err := s.Open(check, checkPlace)
	if err != nil || string(content) != checkContent {
		return ErrWrongKey
	}
	return nil
}

package visit

import "time"

// identify takes the evidence of a in. It returns whom the visit was about before if that was somebody else.
func (v *Visit) identify(a *Activity) (left Subject) {
	s := &a.Subject
	if len(s.PersonKey) == 0 || !v.outweighs(s.Evidence, a.At) {
		return Subject{}
	}
	if v.Subject.PersonKey != string(s.PersonKey) {
		left = v.Subject
		v.Subject.PersonKey = string(s.PersonKey)
	}
	v.Subject.Sealed, v.Subject.Evidence, v.SubjectAt = s.Sealed, s.Evidence, a.At
	return left
}

// outweighs reports whether evidence of the given kind and time beats what v has: the stronger kind, within one kind the
// latest (LOOM-25).
func (v *Visit) outweighs(e Evidence, at time.Time) bool {
	if !v.Subject.Known() {
		return true
	}
	mine, theirs := v.Subject.Evidence.strength(), e.strength()
	return theirs > mine || (theirs == mine && !at.Before(v.SubjectAt))
}

// describe takes over what the activity says of the content. The newest activity's word stands; an older one only fills
// what is missing.
func (v *Visit) describe(from *ContentView, newest bool) {
	c := &v.Content
	text := func(have *string, said []byte) {
		if len(said) > 0 && (newest || *have == "") && *have != string(said) {
			*have = string(said)
		}
	}
	text(&c.ID, from.ID)
	text(&c.Title, from.Title)
	text(&c.URL, from.URL)
	if len(from.OwnerKey) > 0 && (newest || c.OwnerKey == "") && c.OwnerKey != string(from.OwnerKey) {
		c.OwnerKey, c.OwnerSealed = string(from.OwnerKey), from.OwnerSealed
	}
	if from.Kind != KindUnknown && (newest || c.Kind == KindUnknown) {
		c.Kind = from.Kind
	}
	if from.LengthSeconds > 0 && (newest || c.LengthSeconds == 0) {
		c.LengthSeconds = from.LengthSeconds
	}
	if from.PageCount > 0 && (newest || c.PageCount == 0) {
		c.PageCount = from.PageCount
	}
	if !from.PublishedAt.IsZero() && (newest || c.PublishedAt.IsZero()) {
		c.PublishedAt = from.PublishedAt
	}
}

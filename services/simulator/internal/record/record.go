package record

// Slots of the fields that every object has. A Record's values are indexed by the slot of their field.
const (
	SlotID = iota
	SlotIsDeleted
	SlotCreatedDate
	SlotCreatedByID
	SlotLastModifiedDate
	SlotLastModifiedByID
	SlotSystemModstamp
	// SystemSlots is how many there are; an object's own fields follow.
	SystemSlots
)

// Record is one row. It is never changed once it is in a table: an update puts a changed copy in its place, so a reader
// that holds one sees it whole.
type Record struct {
	// Num is the row's number in its table, from 1. It is also the number in its id.
	Num    uint64
	Values []Value
}

// Get returns the value in a slot; nil when the record is older than the field.
func (r *Record) Get(slot int) Value {
	if slot < 0 || slot >= len(r.Values) {
		return nil
	}
	return r.Values[slot]
}

// Text returns the value in a slot when it is text, else "".
func (r *Record) Text(slot int) string {
	s, _ := r.Get(slot).(string)
	return s
}

// True reports whether the value in a slot is true.
func (r *Record) True(slot int) bool {
	b, _ := r.Get(slot).(bool)
	return b
}

// ID returns the 18-character id.
func (r *Record) ID() string { return r.Text(SlotID) }

// Deleted reports whether the record is in the recycle bin.
func (r *Record) Deleted() bool { return r.True(SlotIsDeleted) }

// Clone returns a copy that may be changed, with room for width values.
func (r *Record) Clone(width int) *Record {
	values := make([]Value, max(width, len(r.Values)))
	copy(values, r.Values)
	return &Record{Num: r.Num, Values: values}
}

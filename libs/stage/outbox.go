package stage

// Outbox collects what one batch causes. Nothing in it takes effect until the handler has returned without error.
type Outbox struct {
	messages []Message
	dead     []DeadLetter
}

// Send adds a message.
func (o *Outbox) Send(m Message) { o.messages = append(o.messages, m) }

// DeadLetter gives one record of the batch up: its original bytes go to the dead-letter topic and it counts as
// handled. Reason is a stable code; detail must not quote a secret or a personal datum.
func (o *Outbox) DeadLetter(rec Record, reason, detail string) {
	o.dead = append(o.dead, DeadLetter{Record: rec, Reason: reason, Detail: detail, Attempts: 1})
}

// Messages returns what was sent so far, in order. Tests of processors read it.
func (o *Outbox) Messages() []Message { return o.messages }

// DeadLetters returns what was given up so far, in order.
func (o *Outbox) DeadLetters() []DeadLetter { return o.dead }

// Reset empties the outbox and keeps its memory.
func (o *Outbox) Reset() {
	clear(o.messages)
	clear(o.dead)
	o.messages, o.dead = o.messages[:0], o.dead[:0]
}

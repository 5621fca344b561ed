package generator

// queue is a binary heap of the sessions that have something left to send, by the arrival of their next step.
type queue []entry

type entry struct {
	arrives int64
	// number of the session: sessions that are due at once take turns by it.
	number  int
	session *session
}

func (q queue) before(i, j int) bool {
	return q[i].arrives < q[j].arrives || q[i].arrives == q[j].arrives && q[i].number < q[j].number
}

func (q *queue) push(e entry) {
	*q = append(*q, e)
	s := *q
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s.before(i, parent) {
			return
		}
		s[i], s[parent] = s[parent], s[i]
		i = parent
	}
}

// settle puts the first entry where it belongs after its arrival has changed.
func (q queue) settle() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// pop removes the first entry.
func (q *queue) pop() {
	s := *q
	last := len(s) - 1
	s[0] = s[last]
	s[last] = entry{}
	*q = s[:last]
	q.settle()
}

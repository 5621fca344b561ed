package oracle

import "fmt"

// tasks compares to-dos group by group: several visits of one person to one document make several that differ in
// little, so within a group equal ones are paired first, and only what remains is wrong, missing or too much.
func (r *Report) tasks(want *Expectation, have map[string][]*Record) {
	groups := make(map[string][]*Task)
	for i := range want.Tasks {
		t := &want.Tasks[i]
		groups[t.key()] = append(groups[t.key()], t)
	}
	r.Expected += len(want.Tasks)
	for key, expected := range groups {
		found := have[key]
		delete(have, key)
		r.pair(expected, found, want.users)
	}
	for _, records := range have {
		for _, record := range records {
			r.extra(fmt.Sprintf("%s Task %s", record.Org, record.text("Subject")))
		}
	}
}

// pair matches the to-dos of one group.
func (r *Report) pair(expected []*Task, found []*Record, users map[string]string) {
	var open []*Task
	for _, t := range expected {
		i := indexOf(found, func(record *Record) bool { return len(t.differences(record, users[t.Org])) == 0 })
		if i < 0 {
			open = append(open, t)
			continue
		}
		found = append(found[:i:i], found[i+1:]...)
	}
	for i, t := range open {
		if i < len(found) {
			r.wrong(t.differences(found[i], users[t.Org]))
			continue
		}
		r.missing(fmt.Sprintf("%s Task %s %s", t.Org, t.Viewer, t.ContentID))
	}
	for i := len(open); i < len(found); i++ {
		r.extra(fmt.Sprintf("%s Task %s", found[i].Org, found[i].text("Subject")))
	}
}

func indexOf(records []*Record, holds func(*Record) bool) int {
	for i, record := range records {
		if holds(record) {
			return i
		}
	}
	return -1
}

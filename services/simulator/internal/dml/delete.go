package dml

import (
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

func (w *Writer) delete(in *Input) Result {
	if !w.Access.Object(in.Object).Delete {
		return failed(refuse(codeNoAccess, "insufficient access rights on object id"))
	}
	rec, err := w.locate(in)
	if err != nil {
		return failed(err)
	}
	if in.Object.Name == "Contact" && rec.True(in.Object.Slot("IsPersonAccount")) {
		return failed(refuse("DELETE_FAILED", "the contact of a person account is deleted with its account"))
	}
	w.remove(in.Object, rec)
	return Result{ID: rec.ID()}
}

// remove puts a record into the recycle bin, and with it the records that cannot be without it.
func (w *Writer) remove(o *schema.Object, rec *record.Record) {
	gone := rec.Clone(len(o.Fields))
	gone.Values[record.SlotIsDeleted] = true
	w.stamp(gone)
	w.Tx.Put(w.Data.Table(o), gone)
	if o.Name == "CampaignMember" {
		w.count(o, rec, -1)
	}
	w.removePerson(o, rec)
	for _, c := range o.Children {
		if !c.Field.Indexed || !(c.Field.Required || c.Object.Name == "CampaignMember") {
			continue
		}
		for _, child := range w.Data.Table(c.Object).Find(c.Field.Slot, rec.ID()) {
			w.remove(c.Object, child)
		}
	}
}

// Undelete puts a record of the recycle bin back in its place, if the rules of its object still allow it.
func (w *Writer) Undelete(in *Input, gone *record.Record) error {
	rec := gone.Clone(len(in.Object.Fields))
	rec.Values[record.SlotIsDeleted] = false
	w.stamp(rec)
	if errs := w.finish(in, rec, nil); len(errs) > 0 {
		return errs[0]
	}
	w.Tx.Put(w.Data.Table(in.Object), rec)
	if in.Object.Name == "CampaignMember" {
		w.count(in.Object, rec, 1)
	}
	return nil
}

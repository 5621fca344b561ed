package org

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// seeder turns the people and records of a scenario into rows.
type seeder struct {
	org  *Org
	w    *dml.Writer
	refs map[string]string
}

func newSeeder(o *Org, w *dml.Writer) *seeder {
	return &seeder{org: o, w: w, refs: map[string]string{}}
}

// seed makes everything that a new org has.
func (o *Org) seed(w *dml.Writer, spec scenario.Org) error {
	s := newSeeder(o, w)
	if err := s.row("Organization", map[string]any{
		"id": o.ID, "Name": spec.Name, "OrganizationType": spec.Edition, "TimeZoneSidKey": spec.TimeZone,
		"LanguageLocaleKey": spec.Language, "DefaultLocaleSidKey": localeOf(spec.Language), "IsSandbox": spec.Sandbox,
		"InstanceName": "SIM0", "Country": map[bool]string{true: "JP", false: "US"}[strings.HasPrefix(spec.Language, "ja")],
	}); err != nil {
		return err
	}
	if spec.PersonAccounts {
		if err := s.recordTypes(); err != nil {
			return err
		}
	}
	return s.people(&spec)
}

// recordTypes makes the two record types of accounts.
func (s *seeder) recordTypes() error {
	for _, row := range []map[string]any{
		{"id": schema.BusinessRecordType, "Name": "Business Account", "DeveloperName": "Business_Account"},
		{"id": schema.PersonRecordType, "Name": "Person Account", "DeveloperName": "PersonAccount", "IsPersonType": true},
	} {
		row["SobjectType"] = "Account"
		if err := s.row("RecordType", row); err != nil {
			return err
		}
	}
	return nil
}

func localeOf(language string) string {
	if language == "ja" {
		return "ja_JP"
	}
	return language
}

// defaultProfile is the profile of users that name none.
const defaultProfile = "System Administrator"

func (s *seeder) people(spec *scenario.Org) error {
	names := []string{defaultProfile}
	for _, p := range spec.Profiles {
		if !strings.EqualFold(p.Name, defaultProfile) {
			names = append(names, p.Name)
		}
	}
	for _, name := range names {
		if err := s.profile(name); err != nil {
			return err
		}
	}
	if err := s.permissionSets(spec); err != nil {
		return err
	}
	for i := range spec.Users {
		if err := s.user(&spec.Users[i]); err != nil {
			return fmt.Errorf("users[%d]: %w", i, err)
		}
	}
	for i, q := range spec.Queues {
		row := map[string]any{"ref": q.Name, "Name": q.Name, "DeveloperName": strings.ReplaceAll(q.Name, " ", "_"), "Type": "Queue"}
		if q.ID != "" {
			row["id"] = q.ID
		}
		if err := s.row("Group", row); err != nil {
			return fmt.Errorf("queues[%d]: %w", i, err)
		}
	}
	for _, rows := range spec.Records {
		for i, row := range rows.Rows {
			if err := s.row(rows.Object, row); err != nil {
				return fmt.Errorf("records.%s[%d]: %w", rows.Object, i, err)
			}
		}
	}
	return nil
}

// profile makes a profile unless the org has it.
func (s *seeder) profile(name string) error {
	object, _ := s.org.Schema.Object("Profile")
	found := ""
	s.org.tables[object].All(func(r *record.Record) bool {
		if strings.EqualFold(r.Text(object.Slot("Name")), name) {
			found = r.ID()
		}
		return found == ""
	})
	if found != "" {
		s.refs["profile:"+strings.ToLower(name)] = found
		return nil
	}
	access := s.org.profiles[strings.ToLower(name)]
	row := map[string]any{
		"ref": "profile:" + strings.ToLower(name), "Name": name, "PermissionsModifyAllData": access == nil || !access.NoModifyAll,
	}
	if err := s.row("Profile", row); err != nil {
		return err
	}
	return s.profileSet(name)
}

// user makes a user, or finds the one with the user name.
func (s *seeder) user(u *scenario.User) error {
	object, _ := s.org.Schema.Object("User")
	f, _ := object.Field("Username")
	if rec, ok := s.org.tables[object].First(f.Slot, f.Key(u.Username)); ok {
		s.refs[u.Username] = rec.ID()
		return nil
	}
	local, _, _ := strings.Cut(u.Username, "@")
	language := cmp.Or(u.Language, s.org.Spec.Language)
	row := map[string]any{
		"ref": u.Username, "Username": u.Username, "FirstName": u.FirstName, "LastName": cmp.Or(u.LastName, local),
		"Email": cmp.Or(u.Email, u.Username), "Alias": local[:min(len(local), 8)], "IsActive": !u.Inactive,
		"TimeZoneSidKey": cmp.Or(u.TimeZone, s.org.Spec.TimeZone), "LanguageLocaleKey": language,
		"LocaleSidKey": localeOf(language), "EmailEncodingKey": "UTF-8",
		"ProfileId": "@profile:" + strings.ToLower(cmp.Or(u.Profile, defaultProfile)),
	}
	if u.ID != "" {
		row["id"] = u.ID
	}
	if !u.LastLogin.IsZero() {
		row["LastLoginDate"] = u.LastLogin
	}
	if err := s.row("User", row); err != nil {
		return err
	}
	if err := s.assign(u, cmp.Or(u.Profile, defaultProfile)); err != nil {
		return err
	}
	if s.w.User == "" {
		s.w.User = s.refs[u.Username] // the first user owns what has no owner
	}
	return nil
}

// row makes one record.
func (s *seeder) row(objectName string, row map[string]any) error {
	object, ok := s.org.Schema.Object(objectName)
	if !ok {
		return fmt.Errorf("there is no object %s", objectName)
	}
	in := dml.Input{Object: object}
	for name, v := range row {
		f := object.Fields[record.SlotID]
		switch name {
		case "ref":
			continue
		case "deleted":
			f = object.Fields[record.SlotIsDeleted]
		case "id":
			id, err := sfid.Long(fmt.Sprint(v))
			if err != nil || sfid.Prefix(id) != object.Prefix {
				return fmt.Errorf("id: %v is no id of %s", v, objectName)
			}
			v = id
		default:
			if f, ok = object.Field(name); !ok {
				return fmt.Errorf("%s has no field %s", objectName, name)
			}
		}
		if text, isText := v.(string); isText && strings.HasPrefix(text, "@") && f.Type == "reference" {
			id, known := s.refs[text[1:]]
			if !known {
				return fmt.Errorf("%s: nothing before has the ref %s", name, text[1:])
			}
			v = id
		}
		if err := in.SetAny(f, v); err != nil {
			return err
		}
	}
	return s.insert(&in, row)
}

func (s *seeder) insert(in *dml.Input, row map[string]any) error {
	res := s.w.One(in, dml.Insert)
	if res.Failed() {
		return res.Errors[0]
	}
	if ref, ok := row["ref"].(string); ok {
		s.refs[ref] = res.ID
	}
	return nil
}

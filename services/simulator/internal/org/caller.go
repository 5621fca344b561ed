package org

import (
	"context"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// Caller is the user on whose behalf something is done. The zero Caller may see and do everything.
type Caller struct {
	UserID string
	Access *schema.Access
	// Origin is what change events say about the client: "com/salesforce/api/rest/67.0;client=name". Empty for the org itself.
	Origin string
}

// User is a user as sign-in needs it.
type User struct {
	ID, Username, Email, FirstName, LastName, Name, Language, TimeZone string
	Active                                                             bool
	profile                                                            string
}

// UserByName finds a user by user name, without regard to case.
func (o *Org) UserByName(ctx context.Context, username string) (User, bool) {
	return o.user(ctx, func(object *schema.Object) (*record.Record, bool) {
		f, _ := object.Field("Username")
		return o.tables[object].First(f.Slot, f.Key(username))
	})
}

// UserByID finds a user by 18-character id.
func (o *Org) UserByID(ctx context.Context, id string) (User, bool) {
	return o.user(ctx, func(object *schema.Object) (*record.Record, bool) { return o.tables[object].Get(id) })
}

func (o *Org) user(_ context.Context, find func(*schema.Object) (*record.Record, bool)) (User, bool) {
	object, ok := o.Schema.Object("User")
	if !ok {
		return User{}, false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	rec, ok := find(object)
	if !ok {
		return User{}, false
	}
	text := func(name string) string { return rec.Text(object.Slot(name)) }
	return User{
		ID: rec.ID(), Username: text("Username"), Email: text("Email"), FirstName: text("FirstName"), LastName: text("LastName"),
		Name: text("Name"), Language: text("LanguageLocaleKey"), TimeZone: text("TimeZoneSidKey"),
		Active: rec.True(object.Slot("IsActive")), profile: o.profileName(text("ProfileId")),
	}, true
}

// profileName needs the lock to be held.
func (o *Org) profileName(id string) string {
	object, ok := o.Schema.Object("Profile")
	if !ok {
		return ""
	}
	rec, ok := o.tables[object].Get(id)
	if !ok {
		return ""
	}
	return rec.Text(object.Slot("Name"))
}

// Caller returns what the user may do, and whether the user may use the API at all.
func (o *Org) Caller(u User) (c Caller, api bool) {
	key := strings.ToLower(u.profile)
	access := o.profiles[key]
	if access != nil {
		access = access.With(o.grantsOf(u.ID))
	}
	return Caller{UserID: u.ID, Access: access}, !o.noAPI[key]
}

func profiles(specs []scenario.Profile) (access map[string]*schema.Access, noAPI map[string]bool) {
	access, noAPI = map[string]*schema.Access{}, map[string]bool{}
	for _, p := range specs {
		a := &schema.Access{Objects: map[string]schema.ObjectAccess{}, Hidden: map[string]bool{}, ReadOnly: map[string]bool{}, NoModifyAll: p.NoModifyAll, NoViewSetup: p.NoViewSetup}
		for object, allowed := range p.Objects {
			a.Objects[strings.ToLower(object)] = verbs(allowed)
		}
		for _, f := range p.HiddenFields {
			a.Hidden[strings.ToLower(f)] = true
		}
		for _, f := range p.ReadOnlyFields {
			a.ReadOnly[strings.ToLower(f)] = true
		}
		access[strings.ToLower(p.Name)] = a
		noAPI[strings.ToLower(p.Name)] = p.APIDisabled
	}
	return access, noAPI
}

// ActiveUsers returns up to n active users in the order of creation.
func (o *Org) ActiveUsers(n int) []User {
	object, ok := o.Schema.Object("User")
	if !ok {
		return nil
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	var out []User
	o.tables[object].All(func(r *record.Record) bool {
		if r.True(object.Slot("IsActive")) && !r.Deleted() {
			out = append(out, User{ID: r.ID(), Username: r.Text(object.Slot("Username")), Name: r.Text(object.Slot("Name")), Active: true})
		}
		return len(out) < n
	})
	return out
}

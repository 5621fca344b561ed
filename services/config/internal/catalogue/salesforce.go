package catalogue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Tokens hands out access tokens. refusedHash is the SHA-256 of one that the org does not accept any more, or nil.
type Tokens interface {
	Get(ctx context.Context, workspace, connection string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error)
}

// Salesforce asks orgs through the REST API.
type Salesforce struct {
	Tokens Tokens
	// Client returns a client for one connection and token.
	Client func(c *configv1.Connection, access *configv1.GetAccessTokenResponse) *salesforce.Client
}

// Object implements Orgs.
func (s Salesforce) Object(ctx context.Context, c *configv1.Connection, object string, since time.Time) (Answer[configv1.DescribedObject], error) {
	var out Answer[configv1.DescribedObject]
	err := s.with(ctx, c, func(client *salesforce.Client) error {
		described, changed, err := client.DescribeIfModified(ctx, object, since)
		switch {
		case isGone(err):
			return nil
		case err != nil:
			return err
		case !changed:
			out.Unchanged = true
			return nil
		}
		out.Said, out.ModifiedAt = describedOf(described), described.ModifiedAt
		return nil
	})
	return out, err
}

// Objects implements Orgs.
func (s Salesforce) Objects(ctx context.Context, c *configv1.Connection, since time.Time) (Answer[configv1.ObjectSummaries], error) {
	var out Answer[configv1.ObjectSummaries]
	err := s.with(ctx, c, func(client *salesforce.Client) error {
		global, changed, err := client.DescribeGlobalIfModified(ctx, since)
		switch {
		case err != nil:
			return err
		case !changed:
			out.Unchanged = true
			return nil
		}
		out.Said, out.ModifiedAt = summaries(global.Objects), global.ModifiedAt
		return nil
	})
	return out, err
}

// with asks with the connection's token, and once more with a new one if the org does not accept it any more.
func (s Salesforce) with(ctx context.Context, c *configv1.Connection, ask func(*salesforce.Client) error) error {
	access, err := s.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		return err
	}
	err = s.once(c, access, ask)
	var refused *salesforce.Error
	if !errors.As(err, &refused) || refused.Reason != salesforce.ReasonAuthRevoked {
		return err
	}
	hash := sha256.Sum256([]byte(access.GetAccessToken()))
	if access, err = s.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), hash[:]); err != nil {
		return err
	}
	return s.once(c, access, ask)
}

func (s Salesforce) once(c *configv1.Connection, access *configv1.GetAccessTokenResponse, ask func(*salesforce.Client) error) error {
	client := s.Client(c, access)
	defer client.CloseIdle()
	return ask(client)
}

// isGone reports whether the org says that it has no such object, or none that it shows to the user.
func isGone(err error) bool {
	var refused *salesforce.Error
	return errors.As(err, &refused) && refused.Reason == salesforce.ReasonFieldGone
}

func summaries(objects []salesforce.ObjectSummary) *configv1.ObjectSummaries {
	out := &configv1.ObjectSummaries{Objects: make([]*configv1.ObjectSummary, len(objects))}
	for i, o := range objects {
		out.Objects[i] = &configv1.ObjectSummary{
			Name: o.Name, Label: o.Label, Custom: o.Custom, Createable: o.Createable, Queryable: o.Queryable,
			Updateable: o.Updateable,
		}
	}
	slices.SortFunc(out.Objects, func(x, y *configv1.ObjectSummary) int { return cmp.Compare(x.GetName(), y.GetName()) })
	return out
}

// describedOf keeps what is needed, sorted, so that two answers that say the same are the same.
func describedOf(o *salesforce.ObjectDescribe) *configv1.DescribedObject {
	out := &configv1.DescribedObject{
		Name: o.Name, Label: o.Label, Custom: o.Custom, Createable: o.Createable, Updateable: o.Updateable, Queryable: o.Queryable,
		Fields: make([]*configv1.DescribedField, len(o.Fields)),
	}
	for i := range o.Fields {
		out.Fields[i] = fieldOf(&o.Fields[i])
	}
	slices.SortFunc(out.Fields, func(x, y *configv1.DescribedField) int { return cmp.Compare(x.GetName(), y.GetName()) })
	return out
}

func fieldOf(f *salesforce.FieldDescribe) *configv1.DescribedField {
	out := &configv1.DescribedField{
		Name: f.Name, Label: f.Label, Type: f.Type, Length: int32(f.Length), Precision: int32(max(f.Precision, f.Digits)), Scale: int32(f.Scale),
		Createable: f.Createable, Updateable: f.Updateable, Nillable: f.Nillable, DefaultedOnCreate: f.DefaultedOnCreate,
		ExternalId: f.ExternalID, Unique: f.Unique, Filterable: f.Filterable, Encrypted: f.Encrypted,
		RestrictedPicklist: f.RestrictedPicklist, ReferenceTo: f.ReferenceTo,
	}
	for _, p := range f.PicklistValues {
		if p.Active {
			out.Picklist = append(out.Picklist, &configv1.PicklistChoice{Value: p.Value, Label: p.Label})
		}
	}
	return out
}

package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// ObjectDescribe is an object as the client's user may see it: fields hidden from the user are absent.
type ObjectDescribe struct {
	Name       string          `json:"name"`
	Label      string          `json:"label"`
	KeyPrefix  string          `json:"keyPrefix"`
	Custom     bool            `json:"custom"`
	Createable bool            `json:"createable"`
	Updateable bool            `json:"updateable"`
	Queryable  bool            `json:"queryable"`
	Fields     []FieldDescribe `json:"fields"`

	// ModifiedAt is the Last-Modified of the answer, to the second; pass it to DescribeIfModified. Zero when there was none.
	ModifiedAt time.Time `json:"-"`
}

// Field returns the field with the API name; ok is false when the user cannot see one.
func (o *ObjectDescribe) Field(name string) (FieldDescribe, bool) {
	for i := range o.Fields {
		if o.Fields[i].Name == name {
			return o.Fields[i], true
		}
	}
	return FieldDescribe{}, false
}

// FieldDescribe is one field, by Salesforce's names: Length is in characters, Digits, Precision and Scale in decimal digits, Type
// one of "string", "picklist", "reference" and so on. Source: SOAP API Developer Guide, "DescribeSObjectResult".
type FieldDescribe struct {
	Name               string          `json:"name"`
	Label              string          `json:"label"`
	Type               string          `json:"type"`
	Length             int             `json:"length"`
	Precision          int             `json:"precision"`
	Scale              int             `json:"scale"`
	Digits             int             `json:"digits"`
	Createable         bool            `json:"createable"`
	Updateable         bool            `json:"updateable"`
	Nillable           bool            `json:"nillable"`
	DefaultedOnCreate  bool            `json:"defaultedOnCreate"`
	ExternalID         bool            `json:"externalId"`
	IDLookup           bool            `json:"idLookup"`
	Unique             bool            `json:"unique"`
	CaseSensitive      bool            `json:"caseSensitive"`
	Filterable         bool            `json:"filterable"`
	Encrypted          bool            `json:"encrypted"`
	Calculated         bool            `json:"calculated"`
	AutoNumber         bool            `json:"autoNumber"`
	RestrictedPicklist bool            `json:"restrictedPicklist"`
	PicklistValues     []PicklistValue `json:"picklistValues"`
	ReferenceTo        []string        `json:"referenceTo"`
	RelationshipName   string          `json:"relationshipName"`
}

// Required reports whether a create must set the field.
func (f FieldDescribe) Required() bool { return f.Createable && !f.Nillable && !f.DefaultedOnCreate }

// PicklistValue is one choice: Value is what records hold, Label what people see in the user's language.
type PicklistValue struct {
	Value        string `json:"value"`
	Label        string `json:"label"`
	Active       bool   `json:"active"`
	DefaultValue bool   `json:"defaultValue"`
}

// Describe returns what the user may do with an object and its fields. An object that does not exist, or that the user may not
// see, is an *Error with reason SF_FIELD_GONE. Source: REST API Developer Guide, "sObject Describe".
func (c *Client) Describe(ctx context.Context, object string) (*ObjectDescribe, error) {
	d, _, err := c.DescribeIfModified(ctx, object, time.Time{})
	return d, err
}

// DescribeIfModified is Describe unless nothing changed since a time, usually the ModifiedAt of what the caller has;
// then it returns nil and false. Source: REST API Developer Guide, "Conditional Request Headers".
func (c *Client) DescribeIfModified(ctx context.Context, object string, since time.Time) (*ObjectDescribe, bool, error) {
	r := &call{
		method: http.MethodGet, path: "/sobjects/" + url.PathEscape(object) + "/describe",
		template: "/sobjects/{object}/describe", api: "rest", object: object,
	}
	if !since.IsZero() {
		r.header = http.Header{"If-Modified-Since": {since.UTC().Format(http.TimeFormat)}}
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, false, err
	}
	if ans.status == http.StatusNotModified {
		return nil, false, nil
	}
	d := new(ObjectDescribe)
	if json.Unmarshal(ans.body, d) != nil || d.Name == "" {
		return nil, false, unparseable(r, ans.status)
	}
	d.ModifiedAt, _ = http.ParseTime(ans.header.Get("Last-Modified"))
	return d, true, nil
}

// ObjectSummary is one entry of DescribeGlobal; KeyPrefix is what the object's ids begin with, three characters, or "".
type ObjectSummary struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	KeyPrefix  string `json:"keyPrefix"`
	Custom     bool   `json:"custom"`
	Createable bool   `json:"createable"`
	Updateable bool   `json:"updateable"`
	Queryable  bool   `json:"queryable"`
}

// DescribeGlobal lists the objects the user can see. Source: REST API Developer Guide, "Describe Global".
func (c *Client) DescribeGlobal(ctx context.Context) ([]ObjectSummary, error) {
	g, _, err := c.DescribeGlobalIfModified(ctx, time.Time{})
	return g.Objects, err
}

// GlobalDescribe is the list of objects the user can see.
type GlobalDescribe struct {
	Objects []ObjectSummary `json:"sobjects"`
	// ModifiedAt is the Last-Modified of the answer, to the second; pass it to DescribeGlobalIfModified. Zero when there was
	// none.
	ModifiedAt time.Time `json:"-"`
}

// DescribeGlobalIfModified is DescribeGlobal unless nothing changed since a time, usually the ModifiedAt of what the caller
// has; then it returns false. Source: REST API Developer Guide, "Conditional Request Headers".
func (c *Client) DescribeGlobalIfModified(ctx context.Context, since time.Time) (GlobalDescribe, bool, error) {
	r := &call{method: http.MethodGet, path: "/sobjects", template: "/sobjects", api: "rest"}
	if !since.IsZero() {
		r.header = http.Header{"If-Modified-Since": {since.UTC().Format(http.TimeFormat)}}
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return GlobalDescribe{}, false, err
	}
	if ans.status == http.StatusNotModified {
		return GlobalDescribe{}, false, nil
	}
	var g GlobalDescribe
	if json.Unmarshal(ans.body, &g) != nil || g.Objects == nil {
		return GlobalDescribe{}, false, unparseable(r, ans.status)
	}
	g.ModifiedAt, _ = http.ParseTime(ans.header.Get("Last-Modified"))
	return g, true, nil
}

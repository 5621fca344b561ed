package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
)

// Identity is who the client acts as; the ids have 18 characters.
type Identity struct {
	UserID         string `json:"user_id"`
	OrganizationID string `json:"organization_id"`
	Username       string `json:"preferred_username"`
}

// Identity asks Salesforce whose token it is. Needs scope id or openid. Source: Salesforce Help, "Query for User Information".
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	r := &call{
		method: http.MethodGet, path: "/services/oauth2/userinfo", template: "/services/oauth2/userinfo", api: "rest",
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	if json.Unmarshal(ans.body, &id) != nil || id.OrganizationID == "" {
		return Identity{}, unparseable(r, ans.status)
	}
	return id, nil
}

// Organization is what the org says of itself.
type Organization struct {
	// ID is the 18-character organisation id.
	ID string
	// Name is the company's.
	Name string
	// Edition, e.g. "Enterprise Edition".
	Edition string
	// Sandbox is true for sandboxes.
	Sandbox bool
	// TimeZone is the default one, as an IANA name.
	TimeZone string
	// InstanceURL is the address the answer came from.
	InstanceURL string
}

// Organization asks the org for its name, edition and time zone. It is one query, and fails as one. Source: Object Reference for
// the Salesforce Platform, "Organization".
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	records, err := c.Query(ctx,
		"SELECT Id, Name, OrganizationType, IsSandbox, TimeZoneSidKey FROM Organization LIMIT 1")
	if err != nil {
		return Organization{}, err
	}
	if len(records) == 0 {
		return Organization{}, &Error{
			Class: ClassConfig, Reason: ReasonNoPermission, Code: "NOT_FOUND", Detail: "the user cannot see the organisation",
		}
	}
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return Organization{}, tokenError(ctx, err)
	}
	o := records[0]
	return Organization{
		ID: o.String("Id"), Name: o.String("Name"), Edition: o.String("OrganizationType"),
		Sandbox: o.Bool("IsSandbox"), TimeZone: o.String("TimeZoneSidKey"), InstanceURL: token.InstanceURL,
	}, nil
}

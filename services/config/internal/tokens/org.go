package tokens

import (
	"net/url"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// CodeOtherOrg is the code of a token that leads to another org than the connection was made for.
const CodeOtherOrg = "OTHER_ORG"

// otherOrg refuses a token whose org is not the connection's, so that what is meant for one org never reaches another:
// a sandbox instead of production, or a sandbox that was refreshed and is a new org by that (XC-18). It returns nil when they
// are the same, and when either is not known.
func otherOrg(connection *configv1.Connection, token oauth.Token) error {
	known := connection.GetOrg().GetId()
	issued, _ := OrgAndUser(token.IdentityURL)
	if known == "" || issued == "" || settings.SameOrg(known, issued) {
		return nil
	}
	return &salesforce.Error{
		Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked, Code: CodeOtherOrg,
		Detail: "the credentials lead to org " + issued + ", and this connection is for org " + known +
			"; nothing is written. Correct the connection, or check it and accept the other org if it is meant, as after a sandbox refresh",
	}
}

// OrgAndUser reads the org and the user out of an identity address, https://login.salesforce.com/id/<org>/<user>, as ids of
// 18 characters; "" where there is none. Source: Salesforce Help, "Identity URLs".
func OrgAndUser(identity string) (org, user string) {
	u, err := url.Parse(identity)
	if err != nil {
		return "", ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	for i, part := range parts {
		if part != "id" || i+1 >= len(parts) {
			continue
		}
		id, err := salesforce.ID(parts[i+1], "00D")
		if err != nil {
			continue
		}
		if i+2 < len(parts) {
			user, _ = salesforce.ID(parts[i+2], "005")
		}
		return id, user
	}
	return "", ""
}

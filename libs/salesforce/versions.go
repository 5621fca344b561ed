package salesforce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
)

// codeUnsupportedVersion is Salesforce's code for a version that is retired or not known yet.
const codeUnsupportedVersion = "UNSUPPORTED_API_VERSION"

// Version is one version of the API that an org speaks.
type Version struct {
	// Label names the release, e.g. "Summer '26".
	Label string `json:"label"`
	// Version is the number, e.g. "67.0".
	Version string `json:"version"`
}

// Versions lists the versions the org speaks. It costs no call of the org's allocation.
// Source: REST API Developer Guide, "Versions".
func (c *Client) Versions(ctx context.Context) ([]Version, error) {
	r := &call{method: http.MethodGet, path: "/services/data", template: "/services/data", api: "rest"}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []Version
	if json.Unmarshal(ans.body, &list) != nil || len(list) == 0 {
		return nil, unparseable(r, ans.status)
	}
	return list, nil
}

// CheckVersion reports whether the org speaks the client's api_version; each version lives at least three years, then it
// answers 410. One that the org does not speak is a ClassConfig error. Ask before a connection's first record and once a day:
// in the middle of work the same answer is ClassAuth, because the whole connection, not one record, waits for somebody to
// change the setting. Source: REST API Developer Guide, "API End-of-Life Policy".
func (c *Client) CheckVersion(ctx context.Context) error {
	list, err := c.Versions(ctx)
	var e *Error
	switch {
	case errors.As(err, &e) && (e.Status == http.StatusGone || e.Code == codeUnsupportedVersion):
		return unsupportedVersion(e.Status, c.cfg.APIVersion)
	case err != nil:
		return err
	case slices.ContainsFunc(list, func(v Version) bool { return v.Version == c.cfg.APIVersion }):
		return nil
	}
	return unsupportedVersion(0, c.cfg.APIVersion)
}

func unsupportedVersion(status int, version string) error {
	return &Error{
		Class: ClassConfig, Reason: ReasonAPIDisabled, Code: codeUnsupportedVersion, Status: status,
		Detail: "the org does not speak API version " + version + "; set api_version to one that it lists",
	}
}

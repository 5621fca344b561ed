package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// ACL lets one principal do something with one topic or consumer group, from any host. Its texts are Kafka's own words, as
// kafka-acls.sh takes them (Apache Kafka documentation, "Authorization and ACLs").
type ACL struct {
	// Principal is a user as the broker knows it, e.g. User:writer.
	Principal string `json:"principal"`
	// ResourceType is Topic or Group.
	ResourceType string `json:"resourceType"`
	// Name is the resource's, exactly.
	Name string `json:"name"`
	// Operation is Read, Write or Describe. Read and Write imply Describe.
	Operation string `json:"operation"`
}

func (a ACL) entry() (kafka.ACLEntry, error) {
	e := kafka.ACLEntry{
		ResourceName: a.Name, ResourcePatternType: kafka.PatternTypeLiteral, Principal: a.Principal, Host: "*",
		PermissionType: kafka.ACLPermissionTypeAllow,
	}
	if err := e.ResourceType.UnmarshalText([]byte(a.ResourceType)); err != nil {
		return e, fmt.Errorf("kafka: acl of %s: %w", a.Principal, err)
	}
	if err := e.Operation.UnmarshalText([]byte(a.Operation)); err != nil {
		return e, fmt.Errorf("kafka: acl of %s: %w", a.Principal, err)
	}
	return e, nil
}

// EnsureACLs adds the entries that are missing. It takes none away: a right that is not needed any more is the operator's to
// revoke. The caller needs Alter on the cluster.
func (c *Client) EnsureACLs(ctx context.Context, acls ...ACL) error {
	req := &kafka.CreateACLsRequest{}
	for _, a := range acls {
		e, err := a.entry()
		if err != nil {
			return err
		}
		req.ACLs = append(req.ACLs, e)
	}
	resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.CreateACLsResponse, error) { return c.admin.CreateACLs(ctx, req) })
	if err != nil {
		return fmt.Errorf("kafka: creating acls: %w", err)
	}
	for i, err := range resp.Errors {
		if err != nil {
			return fmt.Errorf("kafka: letting %s %s %s %s: %w", acls[i].Principal, acls[i].Operation, acls[i].ResourceType, acls[i].Name, err)
		}
	}
	return nil
}

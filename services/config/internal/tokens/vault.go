package tokens

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// CredentialsError names the connection whose sealed credentials cannot be had. It wraps seal.ErrOpen where they do not open.
type CredentialsError struct {
	Workspace, Connection string
	err                   error
}

// Error implements error.
func (e *CredentialsError) Error() string {
	return fmt.Sprintf("credentials of connection %s in workspace %s: %s", e.Connection, e.Workspace, e.err)
}

// Unwrap implements the interface of package errors.
func (e *CredentialsError) Unwrap() error { return e.err }

// SealCredentials returns the sealed form of a connection's grant with its secrets. It opens for this connection only.
func SealCredentials(inst *seal.Installation, c *configv1.Connection) ([]byte, error) {
	plain, err := proto.Marshal(&configv1.Connection{Grant: c.GetGrant()})
	if err != nil {
		return nil, fmt.Errorf("seal credentials of %s: %w", c.GetId(), err)
	}
	return inst.Seal(plain, CredentialContext(c.GetWorkspace(), c.GetId()))
}

// OpenCredentials returns the grant that SealCredentials sealed, in a Connection that holds nothing else.
func OpenCredentials(inst *seal.Installation, workspace, connection string, sealed []byte) (*configv1.Connection, error) {
	plain, err := inst.Open(sealed, CredentialContext(workspace, connection))
	if err != nil {
		return nil, &CredentialsError{Workspace: workspace, Connection: connection, err: err}
	}
	c := &configv1.Connection{}
	if err := proto.Unmarshal(plain, c); err != nil {
		return nil, &CredentialsError{Workspace: workspace, Connection: connection, err: seal.ErrOpen}
	}
	return c, nil
}

func sealAccess(inst *seal.Installation, workspace, connection string, a *configv1.GetAccessTokenResponse) ([]byte, error) {
	plain, err := proto.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("seal access token: %w", err)
	}
	return inst.Seal(plain, AccessContext(workspace, connection))
}

func openAccess(inst *seal.Installation, workspace, connection string, sealed []byte) (*configv1.GetAccessTokenResponse, error) {
	plain, err := inst.Open(sealed, AccessContext(workspace, connection))
	if err != nil {
		return nil, err
	}
	a := &configv1.GetAccessTokenResponse{}
	return a, proto.Unmarshal(plain, a)
}

// Neither part can hold a slash, so that no two connections share a context.

// CredentialContext is what a connection's sealed credentials are bound to.
func CredentialContext(workspace, connection string) []byte {
	return []byte("throughline/credentials/" + workspace + "/" + connection)
}

// AccessContext is what a connection's sealed access token is bound to.
func AccessContext(workspace, connection string) []byte {
	return []byte("throughline/access-token/" + workspace + "/" + connection)
}

package rig

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// Keys is the key service of config, for a caller with the token.
func (r *Rig) Keys(token string) configv1.KeyServiceClient {
	return configv1.NewKeyServiceClient(r.dial(token))
}

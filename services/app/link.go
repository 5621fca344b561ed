package app

import (
	"context"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/services/config"
)

// LinkScheme is the scheme of administrators' links: throughline://<address of the config service>/#<secret>.
const LinkScheme = "throughline"

// AdministratorLink makes a link that can be exchanged for an administrator's session, once and for a short time. It is
// empty unless this process runs the config service, embedded.
func (p *Process) AdministratorLink(ctx context.Context) (link string, until time.Time, err error) {
	svc, ok := p.services[configModule].(*config.Service)
	if !ok || !p.cfg.Config.Embedded {
		return "", time.Time{}, nil
	}
	secret, until, err := svc.AdministratorLink(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	return fmt.Sprintf("%s://%s/#%s", LinkScheme, svc.Addr(), secret), until, nil
}

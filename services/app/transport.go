package app

import (
	"net"
	"slices"
)

// inTheClear names, by their keys, the connections of the named services that are made or taken without TLS beyond this
// machine: those that somebody allowed, and those where only a proxy in front may end TLS. The process warns of each (XC-29);
// what nobody allowed does not start at all.
func (c *Config) inTheClear(names []string) []string {
	var keys []string
	add := func(key string, clear bool) {
		if clear {
			keys = append(keys, key)
		}
	}
	runs := func(name string) bool { return slices.Contains(names, name) }
	add("kafka.plaintext", c.Kafka.Plaintext && !c.Kafka.TLS.Enabled)
	add("telemetry.otlp_insecure", c.Telemetry.OTLPEndpoint != "" && c.Telemetry.OTLPInsecure && beyond(c.Telemetry.OTLPEndpoint))
	add("settings.plaintext", c.Settings.Plaintext && !c.Settings.TLS.On() && beyond(c.Settings.Target))
	add("config.plaintext", runs("config") && c.Config.Plaintext && c.Config.TLS.CertFile == "")
	add("config.database.postgres_plaintext", runs("config") && c.Config.Database.PostgresPlaintext && !c.Config.Database.PostgresDSN.IsEmpty())
	add("ingest.http.addr", runs("ingest") && c.Ingest.HTTP.Addr != "" && c.Ingest.HTTP.CertFile == "" && beyond(c.Ingest.HTTP.Addr))
	add("console.listen", runs("console") && beyond(c.Console.Listen))
	return keys
}

// beyond reports whether an address leads to, or takes connections from, other machines.
func beyond(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// warnOfPlaintext says once, at the start, what travels in the clear.
func (p *Process) warnOfPlaintext() {
	for _, key := range p.cfg.inTheClear(p.names) {
		p.tel.Logger.Warn("connections without TLS are allowed here: make sure that the network itself is protected, or that a proxy ends TLS",
			"key", key)
	}
}

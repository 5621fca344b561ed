package conf

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// YAML renders a configuration as a file that Load would accept. Secrets print as "[REDACTED]", because their type says
// so.
func YAML(config any) (string, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(config); err != nil {
		return "", fmt.Errorf("render configuration: %w", err)
	}
	return out.String(), nil
}

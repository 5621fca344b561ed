// Command openapi puts the generated OpenAPI document right: the generator names a path's parameters after fields of messages, so
// that `/workspaces/{workspace}` and `/workspaces/{workspace.id}` would be two paths, which the specification forbids. Names of
// path parameters have no meaning on the wire. Source: OpenAPI Specification 2.0, "Paths Object".
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: openapi <document>")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	document, err := parse(data)
	if err != nil {
		return err
	}
	for i, part := range document {
		if part.key != "paths" {
			continue
		}
		paths, err := parse(part.value)
		if err != nil {
			return err
		}
		if paths, err = merged(paths); err != nil {
			return err
		}
		document[i].value = paths.bytes()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, document.bytes(), "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// object is a JSON object in the order in which it was written.
type object []member

type member struct {
	key   string
	value json.RawMessage
}

func parse(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var out object
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		out = append(out, member{key.(string), value})
	}
	return out, nil
}

func (o object) bytes() []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		key, _ := json.Marshal(m.key) // a string always can
		out.Write(key)
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

var parameter = regexp.MustCompile(`\{([^}]+)\}`)

// shape is a path without the names of its parameters.
func shape(path string) string { return parameter.ReplaceAllString(path, "{}") }

// merged has one entry for every shape, under the plainest names that were given.
func merged(paths object) (object, error) {
	names := map[string]string{}
	for _, p := range paths {
		if have, ok := names[shape(p.key)]; !ok || strings.Count(p.key, ".") < strings.Count(have, ".") {
			names[shape(p.key)] = p.key
		}
	}
	var out object
	at := map[string]int{}
	for _, p := range paths {
		path := plain(names[shape(p.key)])
		methods, err := parse(renamed(p.value, p.key, path))
		if err != nil {
			return nil, err
		}
		i, ok := at[path]
		if !ok {
			i, out = len(out), append(out, member{key: path, value: []byte("{}")})
			at[path] = i
		}
		have, err := parse(out[i].value)
		if err != nil {
			return nil, err
		}
		out[i].value = append(have, methods...).bytes()
	}
	return out, nil
}

// plain has of every name the last part only.
func plain(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(p string) string { return "{" + p[strings.LastIndexAny(p, ".{")+1:] })
}

// renamed gives an entry's parameters the names that they have in another path of the same shape.
func renamed(entry json.RawMessage, from, to string) json.RawMessage {
	wanted := parameter.FindAllStringSubmatch(to, -1)
	for i, m := range parameter.FindAllStringSubmatch(from, -1) {
		entry = bytes.ReplaceAll(entry, []byte(`"name": "`+m[1]+`",`), []byte(`"name": "`+wanted[i][1]+`",`))
	}
	return entry
}

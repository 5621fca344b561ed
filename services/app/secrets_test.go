package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/libs/conf"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/app"
)

const plantedSetting = "planted-setting-7f3a"

// secretKey is what keys with secrets are called, and plainKey those of them that hold none: names of files and of keys in
// services, and numbers.
var (
	secretKey = regexp.MustCompile(`secret|passw|token|dsn|credential|private|(^|_)key($|_)`)
	plainKey  = regexp.MustCompile(`_file$|_uri$|_url$|^name$`)
)

var secretType = reflect.TypeFor[secret.String]()

// settingsBelow calls f for every field that a user can set, with its key.
func settingsBelow(v reflect.Value, key string, f func(key string, field reflect.Value)) {
	switch {
	case v.Type() == secretType:
		f(key, v)
	case v.Kind() == reflect.Struct && v.Type().PkgPath() != "time":
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
				settingsBelow(v.Field(i), key+"."+name, f)
			}
		}
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 && v.CanSet() && v.Type().Elem().Kind() == reflect.Struct {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			settingsBelow(v.Index(i), key+"[]", f)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		settingsBelow(v.Elem(), key, f)
	default:
		f(key, v)
	}
}

func TestEverySecretSettingIsASecret(t *testing.T) {
	t.Parallel()
	cfg := app.DefaultConfig()
	settingsBelow(reflect.ValueOf(&cfg).Elem(), "", func(key string, field reflect.Value) {
		name := key[strings.LastIndex(key, ".")+1:]
		if field.Kind() == reflect.String && secretKey.MatchString(name) && !plainKey.MatchString(name) {
			t.Errorf("%s is a plain text: make it a secret.String", key)
		}
	})
}

func TestTheConfigurationNeverShowsASecret(t *testing.T) {
	t.Parallel()
	cfg := app.DefaultConfig()
	planted := 0
	settingsBelow(reflect.ValueOf(&cfg).Elem(), "", func(_ string, field reflect.Value) {
		if field.Type() == secretType {
			field.Set(reflect.ValueOf(secret.New(plantedSetting)))
			planted++
		}
	})
	require.GreaterOrEqual(t, planted, 5)
	var logs bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&logs, nil), slog.NewTextHandler(&logs, nil)} {
		slog.New(handler).Info("configuration", "config", cfg, "pointer", &cfg, "part", cfg.Config)
	}
	out := map[string]string{"slog": logs.String(), "error": fmt.Errorf("bad: %+v", cfg).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		out[verb] = fmt.Sprintf(verb+" "+verb, cfg, &cfg)
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal} {
		text, err := marshal(cfg)
		require.NoError(t, err)
		require.Contains(t, string(text), secret.Redacted, name)
		out[name] = string(text)
	}
	shown, err := conf.YAML(&cfg)
	require.NoError(t, err)
	require.Equal(t, planted, strings.Count(shown, secret.Redacted), "--show-config and /config say that each is set")
	out["--show-config"] = shown
	for where, text := range out {
		require.NotContains(t, text, plantedSetting, where)
		require.NotContains(t, text, fmt.Sprintf("%x", plantedSetting), where)
	}
}

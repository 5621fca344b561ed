package dml

import (
	"fmt"
	"strconv"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// SetAny gives a field a value as it comes from a YAML or JSON document: text, number, boolean or time. Fields that
// nobody may write, such as CreatedDate, can be set this way.
func (in *Input) SetAny(f *schema.Field, v any) error {
	value, err := convert(f, v)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	checked, refusal := check(f, value)
	if refusal != nil {
		return fmt.Errorf("%s: %w", f.Name, refusal)
	}
	in.cells = append(in.cells, cell{f, checked})
	return nil
}

func convert(f *schema.Field, v any) (record.Value, error) {
	if v == nil {
		return zero(f), nil
	}
	if t, ok := v.(time.Time); ok {
		if f.Storage == schema.StoreDate {
			return record.NewDate(t), nil
		}
		v = t.Format(time.RFC3339)
	}
	text := fmt.Sprint(v)
	switch f.Storage {
	case schema.StoreText:
		if text == "" {
			return nil, nil
		}
		return text, nil
	case schema.StoreBool:
		return strconv.ParseBool(text)
	case schema.StoreInt:
		n, err := strconv.ParseFloat(text, 64)
		return int64(n), err
	case schema.StoreDouble:
		return strconv.ParseFloat(text, 64)
	case schema.StoreDate:
		if d, ok := record.ParseDate(text); ok {
			return d, nil
		}
	case schema.StoreDateTime:
		if d, ok := record.ParseDateTime(text); ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%q is no %s", text, f.Type)
}

// Expands templates with Go's own engine: a JSON object a line in, one a line out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	texttemplate "text/template"
	"time"
)

type item struct {
	Name  string
	Count int
	Any   any
}

func (i item) Twice(n int) int              { return 2 * n * i.Count }
func (i item) Greet(names ...string) string { return fmt.Sprint(i.Name, names) }

type kv map[string]string

func (k kv) String() string { return fmt.Sprintf("kv of %d", len(k)) }

type data struct {
	Name   string
	Odd    string
	Markup string
	URL    string
	Script string
	Count  int
	Ratio  float64
	On     bool
	Labels map[string]string
	KV     kv
	Any    map[string]any
	List   []string
	Anys   []any
	Items  []item
	First  item
	Nil    any
	Safe   htmltemplate.HTML
	Link   htmltemplate.URL
	When   time.Time
	Wait   time.Duration
	Big    int64
}

func value() *data {
	first := item{"first", 3, 1.5}
	return &data{
		Name:   "host1:9100",
		Odd:    "a<b>&\"c\"'d'\u00e9\u2028\x00+=` ]]>/*x*/</script>",
		Markup: "<b class=\"x\">bold</b> & <i>it",
		URL:    "javascript:alert(1)//%41 ?q=a b&c",
		Script: "x = `${y}` + \"\\u003c\"; // <!-- ",
		Count:  42,
		Ratio:  1234.5678,
		On:     true,
		Labels: map[string]string{"job": "node", "instance": "host1:9100", "empty": ""},
		KV:     kv{"b": "2", "a": "1"},
		Any:    map[string]any{"n": 7, "f": 2.5, "s": "text", "nil": nil, "list": []any{1, "two", 3.0}, "m": map[string]any{"x": true}},
		List:   []string{"b", "a", "", "d<e>"},
		Anys:   []any{1, "two", 3.5, nil, true, []string{"x"}},
		Items:  []item{first, {"second", -1, "any"}, {"", 0, nil}},
		First:  first,
		Safe:   "<em title=\"t\">safe</em>",
		Link:   "http://example.com/?a=b&c=d,e",
		When:   time.Date(2026, 1, 2, 15, 4, 5, 678000000, time.UTC),
		Wait:   90*time.Minute + 1500*time.Millisecond,
		Big:    1 << 40,
	}
}

type question struct {
	Text       string `json:"text"`
	HTML       bool   `json:"html"`
	MissingKey string `json:"missingKey"`
}

type answer struct {
	Result []byte `json:"result"`
	Error  []byte `json:"error"`
}

// limited refuses more than a template of these tests has to say.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > 1<<20 {
		return 0, errors.New("too much output")
	}
	return l.Buffer.Write(p)
}

func expand(q question) (result []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var out limited
	if q.HTML {
		t, err := htmltemplate.New("t").Option("missingkey=" + q.MissingKey).Parse(q.Text)
		if err != nil {
			return nil, err
		}
		err = t.Execute(&out, value())
		return out.Bytes(), err
	}
	t, err := texttemplate.New("t").Option("missingkey=" + q.MissingKey).Parse(q.Text)
	if err != nil {
		return nil, err
	}
	err = t.Execute(&out, value())
	return out.Bytes(), err
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			panic(err)
		}
		done := make(chan answer, 1)
		go func() {
			result, err := expand(q)
			if err != nil {
				done <- answer{Error: []byte(err.Error())}
			} else {
				done <- answer{Result: result}
			}
		}()
		select {
		case a := <-done:
			out.Encode(a)
		case <-time.After(2 * time.Second):
			out.Encode(answer{Error: []byte("too slow")})
		}
	}
}

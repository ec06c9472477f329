package sdk_test

import (
	"bytes"
	"fmt"

	"primum/plugins/sdk"
)

// hello is a probe of a made-up protocol: "HI" is answered by "HI" and the serial number.
type hello struct{}

func (hello) Describe() sdk.Description {
	return sdk.Description{Name: "hello", Version: "1.0.0", Kinds: []string{"tcp.acme.hello"},
		Attributes: []sdk.Declaration{{Name: "acme.hours", Kind: sdk.AttributeNumber, Unit: "h", MaxLength: 6}}}
}

func (hello) Begin(q sdk.Question) (sdk.Conversation, error) {
	if q.Kind() != "tcp.acme.hello" {
		return nil, sdk.ErrUnknownQuestion
	}
	return &greeting{next: []byte("HI")}, nil
}

// greeting is one conversation.
type greeting struct {
	next   []byte
	result sdk.Result
}

func (g *greeting) Next() []byte { m := g.next; g.next = nil; return m }

func (g *greeting) Read(r sdk.Reply) {
	serial, ok := bytes.CutPrefix(r.Message, []byte("HI "))
	if value := sdk.Text(serial); ok && value != "" {
		g.result = sdk.Result{Status: sdk.Answered, Facts: []sdk.Fact{{Field: sdk.FieldSerial, Value: value, Origin: "greeting"}}}
		return
	}
	g.result = sdk.Result{Status: sdk.Malformed, Detail: "the greeting has no serial number"}
}

func (g *greeting) Result(e sdk.Ending) sdk.Result {
	if g.result.Status == 0 {
		return sdk.Result{Status: sdk.NoReply, Detail: e.String()}
	}
	return g.result
}

// A probe builds messages and reads replies. What is between them, the SDK and the agent do.
func Example() {
	c, err := hello{}.Begin(sdk.Vendor{Name: "tcp.acme.hello"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("sends %q\n", c.Next())
	c.Read(sdk.Reply{Message: []byte("HI AC-007")})
	fmt.Println("then", c.Next() == nil)
	r := c.Result(sdk.EndOfQuestion)
	fmt.Println(r.Status, r.Facts[0].Field, r.Facts[0].Value)
	// Output:
	// sends "HI"
	// then true
	// answered serial AC-007
}

// A device that says nothing is a result too.
func ExampleConversation_silence() {
	c, err := hello{}.Begin(sdk.Vendor{Name: "tcp.acme.hello"})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Next()
	r := c.Result(sdk.EndTimeout)
	fmt.Println(r.Status, "-", r.Detail)
	// Output: no reply - no answer in time
}

// The main of a plugin is one line.
func ExampleServe() {
	main := func() { sdk.Serve(hello{}) }
	_ = main // the agent starts it
}

// What a device says may hold anything.
func ExampleText() {
	fmt.Println(sdk.Text([]byte("AC-007\x1b[2J\r\n\xff")))
	// Output: AC-007[2J\xff
}

// What was not declared cannot be told.
func ExampleCheck() {
	d := hello{}.Describe()
	for _, a := range []sdk.Attribute{{Name: "acme.hours", Value: "1234"}, {Name: "acme.hours", Value: "many"}, {Name: "acme.mood", Value: "good"}} {
		fmt.Println(sdk.Check(d, sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{a}}))
	}
	// Output:
	// <nil>
	// attribute acme.hours: "many" is not of the declared kind and length
	// attribute "acme.mood" is not declared
}

package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	adminv1 "primum/proto/admin/v1"
)

func TestWithoutArgumentsTheFirstStepsAreSaid(t *testing.T) {
	out, complaints, code := command(nil)
	want(t, "no arguments", out, code, exitDone, "1. primum devices import", "window create", "primum plan", "primum approve", "primum watch", "primum report")
	if complaints != "" {
		t.Errorf("it complains: %s", complaints)
	}
	for _, word := range []string{"scan", "target", "attack", "exploit"} {
		if strings.Contains(strings.ToLower(out), word) {
			t.Errorf("a screen says %q", word)
		}
	}
}

func TestHelpIsACommandToo(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "hold", "place"}} {
		out, complaints, code := command(nil, args...)
		want(t, args[0], out+complaints, code, exitDone, "Usage: primum")
	}
}

// The name of the TUF role targets is the one word of them that has to stand.
func TestNoHelpSpeaksOfScanning(t *testing.T) {
	parser, err := kong.New(&commandLine{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if err := kong.Visit(parser.Model, func(n kong.Visitable, next kong.Next) error {
		switch n := n.(type) {
		case *kong.Application:
			all = append(all, n.Help)
		case *kong.Node:
			all = append(all, n.Name, n.Help)
		case *kong.Flag:
			all = append(all, n.Name, n.Help)
		case *kong.Value:
			all = append(all, n.Name, n.Help)
		}
		return next(nil)
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) < 300 {
		t.Errorf("only %d texts were found", len(all))
	}
	for _, text := range all {
		for _, word := range []string{"scan", "attack", "exploit"} {
			if strings.Contains(strings.ToLower(text), word) {
				t.Errorf("help says %q: %s", word, text)
			}
		}
	}
}

func withReason(t *testing.T, code codes.Code, reason, detail string) error {
	t.Helper()
	s, err := status.New(code, "words of the server").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "primum", Metadata: map[string]string{"detail": detail}})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

func TestEveryStatusHasItsExitCodeAndItsWords(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		says []string
	}{
		"invalid":            {status.Error(codes.InvalidArgument, "the zone is not known"), exitUsage, []string{"the zone is not known"}},
		"exists":             {status.Error(codes.AlreadyExists, "night exists already"), exitUsage, []string{"night exists already"}},
		"not found":          {status.Error(codes.NotFound, "there is no window night"), exitUsage, []string{"there is no window night"}},
		"a reason":           {withReason(t, codes.FailedPrecondition, "DENIED", "stmt-1"), exitRefused, []string{"refused: DENIED", "The device was not asked.", "names this product, or one that it may be, as harmed", "In particular: stmt-1", "Leave it as it is."}},
		"a reason to come":   {withReason(t, codes.FailedPrecondition, "OF_NEXT_YEAR", ""), exitRefused, []string{"refused: OF_NEXT_YEAR", "words of the server"}},
		"no reason":          {status.Error(codes.FailedPrecondition, "the state does not allow this"), exitRefused, []string{"refused: the state does not allow this"}},
		"may not":            {status.Error(codes.PermissionDenied, "a viewer may not"), exitRefused, []string{"refused: a viewer may not"}},
		"nobody":             {status.Error(codes.Unauthenticated, "no such token"), exitRefused, []string{"refused: no such token"}},
		"away":               {status.Error(codes.Unavailable, "going down"), exitUnreachable, []string{"127.0.0.1:", "cannot be reached", "Check that it is running"}},
		"away with a reason": {withReason(t, codes.Unavailable, "DENIED", ""), exitUnreachable, []string{"127.0.0.1:"}},
		"late":               {status.Error(codes.DeadlineExceeded, "too late"), exitUnreachable, []string{"127.0.0.1:", "did not answer in time", "look before you try again"}},
		"broken":             {status.Error(codes.Internal, "see its log"), exitFailed, []string{"see its log"}},
	} {
		s := serve(t, answers{"CreatePlan": fails(c.err)})
		out, complaints, code := s.primum(nil, "plan", "night")
		want(t, name, complaints, code, c.code, c.says...)
		if out != "" {
			t.Errorf("%s: prints %s", name, out)
		}
	}
}

func TestWrongUsageGetsASentenceAndCallsNobody(t *testing.T) {
	s := serve(t, answers{})
	empty := t.TempDir()
	bad := put(t, filepath.Join(empty, "bad"), "no key")
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"an unknown command":      {[]string{"fly"}, []string{"fly", "primum --help"}},
		"no home":                 {[]string{"--home", "", "devices", "list"}, []string{"--home", "--server"}},
		"an empty home":           {[]string{"--home", empty, "devices", "list"}, []string{"admin.address", "--home"}},
		"an address without port": {[]string{"--server", "controller", "devices", "list"}, []string{`"controller" is not host:port`}},
		"a token of two lines":    {[]string{"--token-file", put(t, filepath.Join(empty, "two"), "a\nb\n"), "devices", "list"}, []string{"one token"}},
		"an authority of nothing": {[]string{"--authority", bad, "devices", "list"}, []string{"no certificate"}},
		"an unknown zone":         {[]string{"window", "create", "n", "--opens-in", "8s", "--zone", "Europe/Wien", "--duration", "50s", "--agent", "a"}, []string{"Europe/Wien", "IANA"}},
		"the past":                {[]string{"window", "create", "n", "--opens-in=-8s", "--zone", "UTC", "--duration", "50s", "--agent", "a"}, []string{"in the future"}},
		"neither when":            {[]string{"window", "create", "n", "--zone", "UTC", "--duration", "50s", "--agent", "a"}, []string{"--recurrence", "--opens-in"}},
		"two scopes":              {[]string{"hold", "place", "--all", "--site", "x", "--reason", "r"}, []string{"--all", "--site"}},
		"a hold without reason":   {[]string{"hold", "place", "--all"}, []string{"--reason"}},
		"a hold of nothing":       {[]string{"hold", "place", "--device", "", "--reason", "r"}, []string{"--device is empty", "See primum hold place --help."}},
		"a device of nothing":     {[]string{"touched", "", "--between", "2026-11-24", "2026-11-25"}, []string{"<device> is empty", "See primum touched --help."}},
		"a list of nothing":       {[]string{"standing", "create", "--id", "i", "--caller", "c", "--device", "", "--statement", "s", "--per-day", "1", "--key", bad, "--by", "me"}, []string{"--device is empty"}},
		"a key that is none":      {[]string{"approve", "p", "--key", bad, "--by", "me"}, []string{"is not a private key"}},
		"an id that is no UUID":   {[]string{"probe", "10-1", "snmp.get", "--request-id", "7"}, []string{"not a UUID"}},
		"no such inventory":       {[]string{"devices", "import", filepath.Join(empty, "none.csv")}, []string{"cannot be read"}},
		"keys without names":      {[]string{"standing", "create", "--id", "i", "--caller", "c", "--device", "*", "--statement", "s", "--per-day", "1", "--key", bad, "--key", bad, "--by", "me"}, []string{"2 keys and 1 names"}},
	} {
		_, complaints, code := s.primum(nil, c.args...)
		want(t, name, complaints, code, exitUsage, c.says...)
	}
	if got := s.asked(); len(got) != 0 {
		t.Errorf("the controller was called: %v", got)
	}
}

func TestAControllerThatCannotBeReachedOrIsAnotherIsExitFour(t *testing.T) {
	s := serve(t, answers{"ListDevices": says(&adminv1.ListDevicesResponse{})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, complaints, code := s.primum(nil, "--server", closed, "devices", "list")
	want(t, "nobody listens", complaints, code, exitUnreachable, closed, "cannot be reached", "Check that it is running")
	other, _ := certificates(t)
	_, complaints, code = s.primum(nil, "--authority", put(t, filepath.Join(t.TempDir(), "other.crt"), other), "devices", "list")
	want(t, "another authority", complaints, code, exitUnreachable, "authority.crt")
	_, port, _ := net.SplitHostPort(strings.TrimSpace(addressOf(t, s)))
	_, complaints, code = s.primum(nil, "--server", "localhost:"+port, "devices", "list")
	want(t, "a name that the certificate does not have", complaints, code, exitUnreachable, "localhost")
	if got := s.asked(); len(got) != 0 {
		t.Errorf("a call went to a controller that is another: %v", got)
	}
}

func TestFlagsGoOverTheHomeAndTheHomeComesFromTheEnvironment(t *testing.T) {
	s := serve(t, answers{"ListDevices": says(&adminv1.ListDevicesResponse{})})
	t.Setenv("PRIMUM_HOME", s.home)
	_, complaints, code := command(nil, "devices", "list")
	want(t, "from the environment", complaints, code, exitDone)
	wrong := t.TempDir()
	for _, name := range []string{"admin.address", "authority.crt", "admin.token"} {
		put(t, filepath.Join(wrong, name), "wrong")
	}
	_, complaints, code = command(nil, "--home", wrong, "--server", strings.TrimSpace(addressOf(t, s)), "--authority", filepath.Join(s.home, "authority.crt"),
		"--token-file", filepath.Join(s.home, "admin.token"), "devices", "list")
	want(t, "from flags", complaints, code, exitDone)
	if n := len(s.asked()); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestNamesAreTakenWithAndWithoutTheirCollection(t *testing.T) {
	for _, c := range []struct {
		call, full string
		args       []string
		of         func(proto.Message) string
	}{
		{"GetDevice", "devices/10-1", []string{"devices", "show"}, func(m proto.Message) string { return m.(*adminv1.GetDeviceRequest).GetName() }},
		{"ExplainQuestion", "devices/10-1", []string{"explain"}, func(m proto.Message) string { return m.(*adminv1.ExplainQuestionRequest).GetDevice() }},
		{"CreatePlan", "windows/night", []string{"plan"}, func(m proto.Message) string { return m.(*adminv1.CreatePlanRequest).GetWindow() }},
		{"GetPlan", "plans/1", []string{"plans", "show"}, func(m proto.Message) string { return m.(*adminv1.GetPlanRequest).GetName() }},
		{"GetRun", "runs/1", []string{"run", "show"}, func(m proto.Message) string { return m.(*adminv1.GetRunRequest).GetName() }},
		{"CancelRun", "runs/1", []string{"run", "cancel", "--reason", "r"}, func(m proto.Message) string { return m.(*adminv1.CancelRunRequest).GetName() }},
		{"ListTasks", "runs/1", []string{"tasks"}, func(m proto.Message) string { return m.(*adminv1.ListTasksRequest).GetRun() }},
		{"GetReport", "runs/1", []string{"report"}, func(m proto.Message) string { return m.(*adminv1.GetReportRequest).GetRun() }},
		{"LiftHold", "holds/7", []string{"hold", "lift", "--reason", "r"}, func(m proto.Message) string { return m.(*adminv1.LiftHoldRequest).GetName() }},
		{"CreateEnrollmentToken", "agents/a", []string{"agents", "token"}, func(m proto.Message) string { return m.(*adminv1.CreateEnrollmentTokenRequest).GetAgent() }},
	} {
		for _, name := range []string{c.full, short(c.full)} {
			s := serve(t, answers{c.call: fails(status.Error(codes.NotFound, "looked for"))})
			_, complaints, code := s.primum(nil, append(c.args, name)...)
			want(t, c.call, complaints, code, exitUsage, "looked for")
			if all := s.asked(); len(all) != 1 || c.of(all[0]) != c.full {
				t.Errorf("%s %s: %v", c.call, name, all)
			}
		}
	}
}

// H-024: what somebody was made to paste comes back without what forges a screen.
func TestAWrongArgumentIsShownSafely(t *testing.T) {
	var out, complaints strings.Builder
	if code := run([]string{"devices", "sh\x1b]0;x\aow\u202e"}, strings.NewReader(""), &out, &complaints); code != exitUsage {
		t.Errorf("code %d", code)
	}
	if got := out.String() + complaints.String(); strings.ContainsAny(got, "\x1b\a\u202e") || !strings.Contains(got, "sh") {
		t.Errorf("%q", got)
	}
}

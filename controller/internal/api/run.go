package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"primum/controller/internal/report"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/permit"
)

type runService struct {
	adminv1.UnimplementedRunServiceServer
	*API
}

func ended(state string) bool { return state != "PENDING" && state != "RUNNING" && state != "HELD" }

func (a *API) run(r store.Run) *adminv1.Run {
	out := &adminv1.Run{Name: "runs/" + r.Name, Plan: "plans/" + r.Plan, Window: r.Caller, State: r.State, Started: stamp(r.Started), Ended: stamp(r.Ended),
		Planned: uint32(r.Planned), RefusedInPlan: uint32(r.Refused), Tasks: map[string]uint32{}}
	for state, n := range a.counted(r) {
		out.Tasks[state] = uint32(n)
	}
	return out
}

func (s *runService) get(ctx context.Context, name string) (store.Run, error) {
	id, err := bare(name, "runs")
	if err != nil {
		return store.Run{}, err
	}
	r, err := s.Store.Run(ctx, id)
	return r, s.failed(err, "run "+id)
}

// GetRun implements the call.
func (s *runService) GetRun(ctx context.Context, r *adminv1.GetRunRequest) (*adminv1.Run, error) {
	kept, err := s.get(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	return s.run(kept), nil
}

// ListRuns implements the call.
func (s *runService) ListRuns(ctx context.Context, r *adminv1.ListRunsRequest) (*adminv1.ListRunsResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Runs(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "runs")
	}
	out := &adminv1.ListRunsResponse{}
	for _, x := range kept {
		out.Runs = append(out.Runs, s.run(x))
		out.NextPageToken = next(len(kept), limit, x.Name)
	}
	return out, nil
}

// WatchRun implements the call.
func (s *runService) WatchRun(r *adminv1.WatchRunRequest, stream grpc.ServerStreamingServer[adminv1.Run]) error {
	ctx := stream.Context()
	var last *adminv1.Run
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		rung := s.Bell.Next()
		kept, err := s.get(ctx, r.GetName())
		if err != nil {
			return err
		}
		if now := s.run(kept); !proto.Equal(now, last) {
			if err := stream.Send(now); err != nil {
				return err
			}
			last = now
		}
		if ended(kept.State) && kept.Tasks["DISPATCHED"] == 0 {
			return nil
		}
		select {
		case <-rung:
		case <-look.C:
		case <-ctx.Done():
			return s.failed(ctx.Err(), "run "+r.GetName())
		}
	}
}

func task(t store.Task) *adminv1.Task {
	out := &adminv1.Task{Name: fmt.Sprintf("runs/%s/tasks/%d", t.Run, t.Item), Device: "devices/" + t.Device, Question: t.Question, State: t.State,
		Reason: t.Reason, Detail: t.Detail, Asked: stamp(t.Asked), Took: durationpb.New(time.Duration(t.TookUS) * time.Microsecond), Messages: uint32(t.Messages), Octets: uint32(t.Octets)}
	for _, f := range t.Facts {
		out.Facts = append(out.Facts, &adminv1.Fact{Field: f.Field, Value: f.Value, Origin: f.Origin, At: stamp(t.Asked)})
	}
	return out
}

// ListTasks implements the call.
func (s *runService) ListTasks(ctx context.Context, r *adminv1.ListTasksRequest) (*adminv1.ListTasksResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	from := -1
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil {
			return nil, bad("the page_token is not one of this list")
		}
	}
	kept, err := s.get(ctx, r.GetRun())
	if err != nil {
		return nil, err
	}
	tasks, err := s.Store.Tasks(ctx, kept.Name, from, limit)
	if err != nil {
		return nil, s.failed(err, "tasks")
	}
	out := &adminv1.ListTasksResponse{}
	for _, t := range s.told(kept, tasks) {
		out.Tasks = append(out.Tasks, task(t))
		out.NextPageToken = next(len(tasks), limit, strconv.Itoa(t.Item))
	}
	return out, nil
}

// GetReport implements the call.
func (s *runService) GetReport(ctx context.Context, r *adminv1.GetReportRequest) (*adminv1.Report, error) {
	kept, err := s.get(ctx, r.GetRun())
	if err != nil {
		return nil, err
	}
	in, err := s.reportInput(ctx, kept)
	if err != nil {
		return nil, s.failed(err, "the report of "+kept.Name)
	}
	var text strings.Builder
	out := &adminv1.Report{}
	switch r.GetFormat() {
	case "", "text":
		out.MediaType, err = "text/plain; charset=utf-8", report.Text(&text, in)
	case "json":
		out.MediaType, err = "application/json", report.JSON(&text, in)
	case "csv":
		out.MediaType, err = "text/csv; charset=utf-8", report.CSV(&text, in)
	default:
		return nil, bad("a report is text, json or csv, not %q", r.GetFormat())
	}
	out.Content = text.String()
	return out, s.failed(err, "the report of "+kept.Name)
}

func (s *runService) reportInput(ctx context.Context, r store.Run) (report.Input, error) {
	p, err := s.Store.Plan(ctx, r.Plan)
	if err != nil {
		return report.Input{}, err
	}
	doc, _, err := permit.DecodePlan(p.Document)
	if err != nil {
		return report.Input{}, err
	}
	tasks, err := s.Store.Tasks(ctx, r.Name, -1, 0)
	if err != nil {
		return report.Input{}, err
	}
	in := report.Input{Plan: doc, Site: doc.Site, Now: s.Now(),
		Run: report.Run{Name: r.Name, Window: r.Caller, State: r.State, Reason: r.Reason, Opens: r.Opens, Closes: r.Closes, Started: r.Started, Ended: r.Ended}}
	seen := map[string]bool{}
	for _, t := range s.told(r, tasks) {
		x := report.Task{Item: t.Item, Device: t.Device, Question: t.Question, State: t.State, Reason: t.Reason, Detail: t.Detail, Asked: t.Asked,
			Took: time.Duration(t.TookUS) * time.Microsecond, Messages: t.Messages, Octets: t.Octets}
		if t.Item < len(doc.Items) {
			x.Name, x.Place = doc.Items[t.Item].Device.Name, doc.Items[t.Item].Device.Place
		}
		for _, f := range t.Facts {
			x.Facts = append(x.Facts, report.Fact(f))
		}
		in.Tasks = append(in.Tasks, x)
		if t.State != "ANSWERED" || seen[t.Device] {
			continue
		}
		seen[t.Device] = true
		u, err := s.one(ctx, t.Device)
		if err != nil {
			return report.Input{}, err
		}
		for _, sentence := range u.differ {
			in.Differences = append(in.Differences, report.Difference{Device: t.Device, Name: x.Name, Place: x.Place, Sentence: sentence})
		}
	}
	return in, nil
}

// CancelRun implements the call.
func (s *runService) CancelRun(ctx context.Context, r *adminv1.CancelRunRequest) (*adminv1.Run, error) {
	kept, err := s.get(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.GetReason()) == "" {
		return nil, bad("say why: cancelling a run has a reason")
	}
	a := s.act(ctx, "cancel run", "runs/"+kept.Name)
	a.Detail = r.GetReason()
	if _, err := s.Store.CancelRun(ctx, kept.Name, r.GetReason(), a); err != nil {
		return nil, s.failed(err, "run "+kept.Name)
	}
	s.Bell.Ring()
	if kept, err = s.get(ctx, r.GetName()); err != nil {
		return nil, err
	}
	return s.run(kept), nil
}

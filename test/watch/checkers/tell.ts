import { CHECKERS } from "./check-all.js";
import type { RecordedHistory, SeenEvent } from "./history.js";
import { Story, type StoryWatcher } from "./story.js";

type Promised = keyof typeof CHECKERS;

/** A right history with watchers of every kind; nothing is finished yet. */
export function tell(): { story: Story; all: StoryWatcher; brief: StoryWatcher; late: StoryWatcher } {
  const story = new Story();
  const all = story.watch("all");
  const brief = story.watch("brief", { key: "b", encoding: "none", includePrevious: false });
  story.set("a", "1");
  story.set("b", "2");
  story.catchUp();
  story.set("a", "3");
  story.set("c", "4", 50);
  const late = story.watch("late", { snapshot: true });
  story.delete("b");
  all.progress();
  story.expire("c");
  story.set("b", "5");
  return { story, all, brief, late };
}

/** What the checker of a promise says, once all have caught up. */
export function judge(promised: Promised, story: Story, changes?: Partial<RecordedHistory>): string[] {
  return CHECKERS[promised](story.history(changes));
}

/** Changes the first event of a type. */
export function change(
  type: SeenEvent["type"],
  edit: (event: SeenEvent) => SeenEvent | readonly SeenEvent[],
) {
  let done = false;
  return (events: readonly SeenEvent[]): readonly SeenEvent[] =>
    events.flatMap((event) => {
      if (done || event.type !== type) return [event];
      done = true;
      return edit(event);
    });
}

using System.Collections.Concurrent;

namespace VirtKit.Time;

/// <summary>What the host's threads have posted to a clock, in order. Thread-safe; one thread at a time drains it.</summary>
internal sealed class PostQueue
{
    private readonly ConcurrentQueue<Post> _queue = new();
    private volatile bool _closed;

    /// <summary>An action threw, which is its owner's bug and must not end the host's process: its gate, and what it threw.</summary>
    public event Action<object, Exception>? Failed;

    public bool IsEmpty => _queue.IsEmpty;

    /// <param name="gate">Held around the action.</param>
    /// <param name="action">The action.</param>
    /// <param name="input">The input whose handler it is, if it is one's.</param>
    /// <returns>Whether it was taken; a closed queue takes nothing.</returns>
    public bool TryAdd(object gate, Action action, MachineInput? input = null)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(action);
        if (_closed)
            return false;
        _queue.Enqueue(new Post(gate, action, input));
        return true;
    }

    /// <summary>Runs what stands in the queue now, each action under its gate. What the actions post themselves is for the next call, so that none holds the machine up for ever.</summary>
    /// <param name="admits">Called before each action; it is dropped where the answer is no.</param>
    /// <returns>Whether there was something.</returns>
    public bool Drain(Func<MachineInput?, bool>? admits = null)
    {
        if (_queue.IsEmpty)
            return false;
        for (int left = _queue.Count; left > 0 && !_closed && _queue.TryDequeue(out Post? post); left--)
        {
            if (admits?.Invoke(post.Input) ?? true)
                Run(post.Gate, post.Action);
        }

        return true;
    }

    /// <summary>Runs an action at once, as if it had stood in the queue.</summary>
    public void Run(object gate, Action action)
    {
        try
        {
            lock (gate)
                action();
        }
        catch (Exception e)
        {
            Failed?.Invoke(gate, e);
        }
    }

    /// <summary>Drops what stands in the queue, and everything that comes.</summary>
    public void Close()
    {
        _closed = true;
        _queue.Clear();
    }

    private sealed record Post(object Gate, Action Action, MachineInput? Input);
}

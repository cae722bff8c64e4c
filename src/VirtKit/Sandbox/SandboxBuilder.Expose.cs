namespace VirtKit.Sandboxing;

public sealed partial class SandboxBuilder
{
    /// <summary>Exposes a function of the host, which the guest calls by its name. How types correspond to those of C is said at <see cref="SandboxFunction"/>; a span is a view of
    /// the guest's own memory, good until the function returns; a parameter of type <see cref="Sandbox"/> is the sandbox that calls, and nothing that the guest passes.</summary>
    /// <param name="name">The name by which the guest imports it.</param>
    /// <param name="function">The function. It runs on the thread that called into the guest. What it throws ends that call with the same exception.</param>
    /// <exception cref="ArgumentException">A type has no meaning in a guest, or the name is exposed already.</exception>
    public SandboxBuilder Expose(string name, Action function) =>
        Add(function is null ? null : new HostAction(name, function));

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1>(string name, Action<T1> function)
        where T1 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1>(name, function), GuestTypes.Check<T1>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2>(string name, Action<T1, T2> function)
        where T1 : allows ref struct
        where T2 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1, T2>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3>(string name, Action<T1, T2, T3> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1, T2, T3>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4>(string name, Action<T1, T2, T3, T4> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1, T2, T3, T4>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4, T5>(string name, Action<T1, T2, T3, T4, T5> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1, T2, T3, T4, T5>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4, T5, T6>(string name, Action<T1, T2, T3, T4, T5, T6> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
        where T6 : allows ref struct =>
        Add(function is null ? null : new HostAction<T1, T2, T3, T4, T5, T6>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>() ?? GuestTypes.Check<T6>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<TResult>(string name, Func<TResult> function) =>
        Add(function is null ? null : new HostFunc<TResult>(name, function), GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, TResult>(string name, Func<T1, TResult> function)
        where T1 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, TResult>(string name, Func<T1, T2, TResult> function)
        where T1 : allows ref struct
        where T2 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, T2, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, TResult>(string name, Func<T1, T2, T3, TResult> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, T2, T3, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4, TResult>(string name, Func<T1, T2, T3, T4, TResult> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, T2, T3, T4, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4, T5, TResult>(string name, Func<T1, T2, T3, T4, T5, TResult> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, T2, T3, T4, T5, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder Expose<T1, T2, T3, T4, T5, T6, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, TResult> function)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
        where T6 : allows ref struct =>
        Add(function is null ? null : new HostFunc<T1, T2, T3, T4, T5, T6, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>() ?? GuestTypes.Check<T6>() ?? GuestTypes.CheckResult<TResult>());

    /// <summary>Exposes a function of the host that may take its time: the guest is parked until the result is there, and holds no thread meanwhile. It can be called only where the
    /// host called by <see cref="SandboxFunction.InvokeAsync{TResult}"/>. Spans are no parameters here; <see cref="ReadOnlyMemory{T}"/> of bytes is a copy.</summary>
    /// <inheritdoc cref="Expose(string, Action)"/>
    public SandboxBuilder ExposeAsync<TResult>(string name, Func<ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<TResult>(name, function), GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, TResult>(string name, Func<T1, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, T2, TResult>(string name, Func<T1, T2, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, T2, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, T2, T3, TResult>(string name, Func<T1, T2, T3, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, T2, T3, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, T2, T3, T4, TResult>(string name, Func<T1, T2, T3, T4, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, T2, T3, T4, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, T2, T3, T4, T5, TResult>(string name, Func<T1, T2, T3, T4, T5, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, T2, T3, T4, T5, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>() ?? GuestTypes.CheckResult<TResult>());

    /// <inheritdoc cref="ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>
    public SandboxBuilder ExposeAsync<T1, T2, T3, T4, T5, T6, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, ValueTask<TResult>> function) =>
        Add(function is null ? null : new HostAsyncFunc<T1, T2, T3, T4, T5, T6, TResult>(name, function), GuestTypes.Check<T1>() ?? GuestTypes.Check<T2>() ?? GuestTypes.Check<T3>() ?? GuestTypes.Check<T4>() ?? GuestTypes.Check<T5>() ?? GuestTypes.Check<T6>() ?? GuestTypes.CheckResult<TResult>());
}

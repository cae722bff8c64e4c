namespace VirtKit.Sandboxing;

// One class for each number of parameters: .NET has no generics over that.

internal sealed class HostAction(string name, Action function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        function();
        return null;
    }
}

internal sealed class HostAction<T1>(string name, Action<T1> function) : HostFunction(name)
    where T1 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>());
        return null;
    }
}

internal sealed class HostAction<T1, T2>(string name, Action<T1, T2> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>(), call.Next<T2>());
        return null;
    }
}

internal sealed class HostAction<T1, T2, T3>(string name, Action<T1, T2, T3> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>());
        return null;
    }
}

internal sealed class HostAction<T1, T2, T3, T4>(string name, Action<T1, T2, T3, T4> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>());
        return null;
    }
}

internal sealed class HostAction<T1, T2, T3, T4, T5>(string name, Action<T1, T2, T3, T4, T5> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
    where T5 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>());
        return null;
    }
}

internal sealed class HostAction<T1, T2, T3, T4, T5, T6>(string name, Action<T1, T2, T3, T4, T5, T6> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
    where T5 : allows ref struct
    where T6 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>(), call.Next<T6>());
        return null;
    }
}

internal sealed class HostFunc<TResult>(string name, Func<TResult> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function());
        return null;
    }
}

internal sealed class HostFunc<T1, TResult>(string name, Func<T1, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>()));
        return null;
    }
}

internal sealed class HostFunc<T1, T2, TResult>(string name, Func<T1, T2, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>(), call.Next<T2>()));
        return null;
    }
}

internal sealed class HostFunc<T1, T2, T3, TResult>(string name, Func<T1, T2, T3, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>()));
        return null;
    }
}

internal sealed class HostFunc<T1, T2, T3, T4, TResult>(string name, Func<T1, T2, T3, T4, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>()));
        return null;
    }
}

internal sealed class HostFunc<T1, T2, T3, T4, T5, TResult>(string name, Func<T1, T2, T3, T4, T5, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
    where T5 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>()));
        return null;
    }
}

internal sealed class HostFunc<T1, T2, T3, T4, T5, T6, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, TResult> function) : HostFunction(name)
    where T1 : allows ref struct
    where T2 : allows ref struct
    where T3 : allows ref struct
    where T4 : allows ref struct
    where T5 : allows ref struct
    where T6 : allows ref struct
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        HostCall.Return(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>(), call.Next<T6>()));
        return null;
    }
}

internal sealed class HostAsyncFunc<TResult>(string name, Func<ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function());
    }
}

internal sealed class HostAsyncFunc<T1, TResult>(string name, Func<T1, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>()));
    }
}

internal sealed class HostAsyncFunc<T1, T2, TResult>(string name, Func<T1, T2, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>(), call.Next<T2>()));
    }
}

internal sealed class HostAsyncFunc<T1, T2, T3, TResult>(string name, Func<T1, T2, T3, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>()));
    }
}

internal sealed class HostAsyncFunc<T1, T2, T3, T4, TResult>(string name, Func<T1, T2, T3, T4, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>()));
    }
}

internal sealed class HostAsyncFunc<T1, T2, T3, T4, T5, TResult>(string name, Func<T1, T2, T3, T4, T5, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>()));
    }
}

internal sealed class HostAsyncFunc<T1, T2, T3, T4, T5, T6, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, ValueTask<TResult>> function) : HostFunction(name)
{
    public override PendingCall? Invoke(Sandbox sandbox)
    {
        var call = new HostCall(sandbox);
        Gva target = call.NextResult<TResult>();
        return PendingCall<TResult>.Of(sandbox, target, function(call.Next<T1>(), call.Next<T2>(), call.Next<T3>(), call.Next<T4>(), call.Next<T5>(), call.Next<T6>()));
    }
}

namespace VirtKit.Sandboxing;

public sealed partial class SandboxFunction
{
    /// <summary>Calls the function, which may call functions of the host that take their time (<see cref="SandboxBuilder.ExposeAsync{TResult}(string, Func{ValueTask{TResult}})"/>):
    /// meanwhile the guest is parked and holds no thread. The guest runs on the caller's thread until it is parked the first time, then on threads of the pool.</summary>
    /// <returns>What it returned; no view of the guest's memory. It fails as <see cref="Invoke{TResult}()"/> throws.</returns>
    /// <exception cref="ArgumentException">An argument would be copied back.</exception>
    /// <inheritdoc cref="Invoke{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult>()
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1>(scoped T1 argument1)
        where T1 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1, T2>(scoped T1 argument1, scoped T2 argument2)
        where T1 : allows ref struct
        where T2 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1, T2, T3>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1, T2, T3, T4>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1, T2, T3, T4, T5>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Add(argument5);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }

    /// <inheritdoc cref="InvokeAsync{TResult}()"/>
    public ValueTask<TResult> InvokeAsync<TResult, T1, T2, T3, T4, T5, T6>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5, scoped T6 argument6)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
        where T6 : allows ref struct
    {
        var call = new GuestCall(_sandbox) { IsAsync = true };
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Add(argument5);
            call.Add(argument6);
            call.Prepare(this);
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return _sandbox.RunAsync<TResult>(call);
    }
}
